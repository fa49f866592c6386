/** Owns the proof that a probe reads where the service listens, whatever is wrong elsewhere in the configuration. */
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../../src/config/config.ts';
import type { Env } from '../../../src/config/env.ts';
import { parseListen } from '../../../src/config/parse-listen.ts';

const DEFAULTS = {
  grpc: { kind: 'tcp', host: '0.0.0.0', port: 9001 },
  admin: { kind: 'tcp', host: '127.0.0.1', port: 9002 },
  unixSocketMode: '0660',
};

function problemsOf(text: string, env: Env): readonly string[] {
  try {
    parseListen(text, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
}

describe('where the service listens', () => {
  it.each([undefined, '', 'listen: {}', 'keys: 5\nfoo: bar\npolicies: [x]'])(
    'is the default in %j',
    (text) => {
      expect(parseListen(text, {})).toEqual(DEFAULTS);
    },
  );

  it('is read from the file, and rather from the environment', () => {
    const text = 'listen: {grpc: "unix:/a.sock", admin: "[::1]:1", tls: {certFile: /c, keyFile: /k}}';
    expect(parseListen(text, { APPROOV_ADMIN_LISTEN: '127.0.0.1:2', APPROOV_MODE: 'bad' })).toEqual({
      grpc: { kind: 'unix', path: '/a.sock' },
      admin: { kind: 'tcp', host: '127.0.0.1', port: 2 },
      unixSocketMode: '0660',
      tls: { certFile: '/c', keyFile: '/k' },
    });
  });

  it.each([
    ['listen: {grpc: 9001}', {}, ['listen.grpc: expected a text, received a number: quote it']],
    [
      'listen: {other: 1}',
      { APPROOV_GRPC_LISTEN: '9001' },
      [
        'listen.grpc: must be host:port, [v6]:port or unix:/path (set by APPROOV_GRPC_LISTEN)',
        'listen.other: unknown field',
      ],
    ],
    ['listen: [', {}, ['line 1, column 10: not valid YAML: bad indent']],
  ])('cannot be read in %s with %j', (text, env, expected) => {
    expect([...problemsOf(text, env)].sort()).toEqual(expected);
  });
});
