import { describe, expect, it } from 'vitest';
import { HEADERS_READ, headerValues } from '../../../src/authz/check-request.ts';
import { checkRequest } from '../../support/check.ts';

describe('headerValues', () => {
  const request = checkRequest({ headers: { once: 'a', twice: ['a', 'b'], empty: '' } });

  it.each([
    { name: 'once', expected: ['a'] },
    { name: 'twice', expected: ['a', 'b'] },
    { name: 'empty', expected: [''] },
    { name: 'absent', expected: [] },
  ])('returns each occurrence of a header: $name', ({ name, expected }) => {
    expect(headerValues(request, name).map(String)).toEqual(expected);
  });
});

describe('the headers that are read under every policy', () => {
  it('are in lower case, as Envoy sends them, and no pseudo headers', () => {
    for (const name of Object.values(HEADERS_READ)) expect(name).toMatch(/^[a-z-]+$/);
  });

  it('are those that the Envoy sample lists besides the token and bound headers', () => {
    expect(new Set(Object.values(HEADERS_READ))).toEqual(
      new Set([
        'approov-status',
        'approov-traceid',
        'origin',
        'access-control-request-method',
        'x-request-id',
        'user-agent',
        'x-envoy-external-address',
      ]),
    );
  });
});
