/** Tests that a probe can read `listen`, whatever is wrong elsewhere in the configuration. */
import { describe, expect, it } from 'vitest';
import { type ParsedListen, parseListen } from '../../../src/config/parse-listen.ts';

const DEFAULTS = {
  grpc: { kind: 'tcp', host: '0.0.0.0', port: 9001 },
  admin: { kind: 'tcp', host: '127.0.0.1', port: 9002 },
  unixSocketMode: '0660',
  transport: 'grpc-js',
};

function valid(listen: object): object {
  return { kind: 'valid', value: listen };
}

function problemsOf(parsed: ParsedListen): readonly string[] {
  return parsed.kind === 'valid' ? [] : parsed.problems.map(({ path, message }) => `${path}: ${message}`);
}

describe('parseListen', () => {
  it.each([undefined, '', 'listen: {}', 'keys: 5\nfoo: bar\npolicies: [x]'])(
    'returns the defaults for %j',
    (text) => {
      expect(parseListen(text, {})).toEqual(valid(DEFAULTS));
    },
  );

  it('reads the file, overridden by the environment', () => {
    const text = 'listen: {grpc: "unix:/a.sock", admin: "[::1]:1", tls: {certFile: /c, keyFile: /k}}';
    expect(parseListen(text, { APPROOV_ADMIN_LISTEN: '127.0.0.1:2', APPROOV_MODE: 'bad' })).toEqual(
      valid({
        grpc: { kind: 'unix', path: '/a.sock' },
        admin: { kind: 'tcp', host: '127.0.0.1', port: 2 },
        unixSocketMode: '0660',
        transport: 'grpc-js',
        tls: { certFile: '/c', keyFile: '/k' },
      }),
    );
  });

  it.each([
    [
      'listen: {grpc: 9001}',
      {},
      ['listen.grpc: 9001 must be host:port, [v6]:port or unix:/path; for example 0.0.0.0:9001'],
    ],
    [
      'listen: {other: 1}',
      { APPROOV_GRPC_LISTEN: '9001' },
      [
        'APPROOV_GRPC_LISTEN: "9001" must be host:port, [v6]:port or unix:/path; for example 0.0.0.0:9001',
        'listen.other: unknown field; known: grpc, admin, unixSocketMode, transport, tls',
      ],
    ],
    ['listen: [', {}, ['line 1, column 9: not valid YAML: "[" is not closed; add "]"']],
  ])('reports the problems of %s with %j', (text, env, expected) => {
    expect([...problemsOf(parseListen(text, env))].sort()).toEqual(expected);
  });
});
