/** Tests which environment variables are read, and which value each overrides. */
import { describe, expect, it } from 'vitest';
import {
  applyOverrides,
  isRawObject,
  type RawObject,
  readVariable,
  withOrigin,
} from '../../../src/config/env.ts';

const ALL = {
  APPROOV_MODE: 'observe',
  APPROOV_BINDING_HEADER: 'authorization',
  APPROOV_GRPC_LISTEN: '127.0.0.1:1',
  APPROOV_ADMIN_LISTEN: '127.0.0.1:2',
  LOG_LEVEL: 'warn',
};

describe('readVariable', () => {
  it.each([
    { name: 'a value', env: { A: 'x' }, expected: 'x' },
    { name: 'a blank, which is a value', env: { A: ' ' }, expected: ' ' },
    { name: 'nothing where it is empty', env: { A: '' }, expected: undefined },
    { name: 'nothing where it is not set', env: {}, expected: undefined },
  ])('reads $name', ({ env, expected }) => {
    expect(readVariable(env, 'A')).toBe(expected);
  });
});

describe('applyOverrides', () => {
  it('sets the field of each variable in an empty file', () => {
    const content: RawObject = { policies: { default: {} } };
    const origins = applyOverrides(content, ALL, 'default', []);
    expect(content).toEqual({
      policies: { default: { mode: 'observe', binding: { headers: ['authorization'], when: 'if-present' } } },
      listen: { grpc: '127.0.0.1:1', admin: '127.0.0.1:2' },
      log: { level: 'warn' },
    });
    expect([...origins]).toEqual([
      ['policies.default.mode', 'APPROOV_MODE'],
      ['policies.default.binding', 'APPROOV_BINDING_HEADER'],
      ['listen.grpc', 'APPROOV_GRPC_LISTEN'],
      ['listen.admin', 'APPROOV_ADMIN_LISTEN'],
      ['log.level', 'LOG_LEVEL'],
    ]);
  });

  it('overrides a value of the file and leaves the others', () => {
    const content: RawObject = {
      policies: { strict: { mode: 'enforce', binding: null, tokenHeader: 't' }, default: { mode: 'limit' } },
      listen: { grpc: '0.0.0.0:1', unixSocketMode: '0600' },
      log: { level: 'info', checks: 'all' },
    };
    applyOverrides(content, ALL, 'strict', []);
    expect(content).toEqual({
      policies: {
        strict: {
          mode: 'observe',
          binding: { headers: ['authorization'], when: 'if-present' },
          tokenHeader: 't',
        },
        default: { mode: 'limit' },
      },
      listen: { grpc: '127.0.0.1:1', admin: '127.0.0.1:2', unixSocketMode: '0600' },
      log: { level: 'warn', checks: 'all' },
    });
  });

  it('ignores empty and foreign variables', () => {
    const content: RawObject = {};
    const env = {
      ...Object.fromEntries(Object.keys(ALL).map((name) => [name, ''])),
      APPROOV_EXT_AUTHZ_SERVICE_HOST: '10.0.0.1',
      APPROOV_EXT_AUTHZ_PORT: 'tcp://10.0.0.1:9001',
      MODE: 'off',
    };
    expect([...applyOverrides(content, env, 'default', [])]).toEqual([]);
    expect(content).toEqual({});
  });

  it('leaves a parent that is not an object, for the schema to refuse', () => {
    const content: RawObject = { policies: { default: 5 }, listen: [], log: null };
    expect([...applyOverrides(content, ALL, 'default', [])]).toEqual([]);
    expect(content).toEqual({ policies: { default: 5 }, listen: [], log: null });
  });
});

describe('withOrigin', () => {
  const origins = new Map([['policies.default.binding', 'APPROOV_BINDING_HEADER']]);

  it.each([
    { path: 'policies.default.binding', expected: 'APPROOV_BINDING_HEADER' },
    { path: 'policies.default.binding.headers[0]', expected: 'APPROOV_BINDING_HEADER' },
    { path: 'policies.default.bindingX', expected: 'policies.default.bindingX' },
    { path: 'policies.default', expected: 'policies.default' },
    { path: 'policies.other.binding', expected: 'policies.other.binding' },
  ])('turns a problem at $path into one at $expected', ({ path, expected }) => {
    expect(withOrigin({ path, message: 'is wrong' }, origins)).toEqual({
      path: expected,
      message: 'is wrong',
    });
  });
});

describe('isRawObject', () => {
  it.each([
    { value: {}, expected: true },
    { value: [], expected: false },
    { value: null, expected: false },
    { value: 'text', expected: false },
    { value: undefined, expected: false },
  ])('is $expected for $value', ({ value, expected }) => {
    expect(isRawObject(value)).toBe(expected);
  });
});
