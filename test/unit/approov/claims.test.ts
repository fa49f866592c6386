import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { checkLifetime, expirySeconds, hasAudience, hasIssuer } from '../../../src/approov/claims.ts';
import type { VerifiedToken } from '../../../src/approov/token.ts';
import { tokenOrReason, verifiedToken } from '../../support/check.ts';
import { base64url, SECRET_BYTES } from '../../support/token.ts';

describe('expirySeconds', () => {
  it.each([
    { name: 'a whole number', json: '{"exp":100}', expected: 100 },
    { name: 'a fraction', json: '{"exp":4708683205.891912}', expected: 4708683205.891912 },
    { name: 'a negative number', json: '{"exp":-1}', expected: -1 },
    { name: 'zero', json: '{"exp":0}', expected: 0 },
    { name: 'nothing without exp', json: '{}', expected: undefined },
    { name: 'nothing for a string', json: '{"exp":"100"}', expected: undefined },
    { name: 'nothing for an empty string', json: '{"exp":""}', expected: undefined },
    { name: 'nothing for null', json: '{"exp":null}', expected: undefined },
    { name: 'nothing for true', json: '{"exp":true}', expected: undefined },
    { name: 'nothing for a list', json: '{"exp":[100]}', expected: undefined },
    { name: 'nothing for an infinite number', json: '{"exp":1e999}', expected: undefined },
  ])('returns $name', ({ json, expected }) => {
    expect(expirySeconds(tokenWith(json))).toBe(expected);
  });
});

describe('checkLifetime', () => {
  it.each([
    { name: 'before exp', json: '{"exp":100}', now: 99.999, expected: undefined },
    { name: 'on exp', json: '{"exp":100}', now: 100, expected: 'token_expired' },
    { name: 'before a fractional exp', json: '{"exp":100.5}', now: 100.4, expected: undefined },
    { name: 'on a fractional exp', json: '{"exp":100.5}', now: 100.5, expected: 'token_expired' },
    { name: 'before exp and tolerance', json: '{"exp":100}', now: 104.9, tolerance: 5, expected: undefined },
    { name: 'on exp and tolerance', json: '{"exp":100}', now: 105, tolerance: 5, expected: 'token_expired' },
    { name: 'no exp', json: '{}', now: 1, expected: 'missing_expiry' },
    { name: 'exp as text', json: '{"exp":"100"}', now: 1, expected: 'missing_expiry' },
    { name: 'exp that is not finite', json: '{"exp":1e999}', now: 1, expected: 'missing_expiry' },
    { name: 'no exp and a future nbf', json: '{"nbf":9}', now: 1, expected: 'missing_expiry' },
    { name: 'after nbf', json: '{"exp":100,"nbf":50}', now: 51, expected: undefined },
    { name: 'on nbf', json: '{"exp":100,"nbf":50}', now: 50, expected: undefined },
    { name: 'before nbf', json: '{"exp":100,"nbf":50}', now: 49.999, expected: 'token_not_yet_valid' },
    {
      name: 'before nbf by the tolerance',
      json: '{"exp":100,"nbf":50}',
      now: 45,
      tolerance: 5,
      expected: undefined,
    },
    {
      name: 'before nbf by more',
      json: '{"exp":100,"nbf":50}',
      now: 44.9,
      tolerance: 5,
      expected: 'token_not_yet_valid',
    },
    {
      name: 'before a fractional nbf',
      json: '{"exp":100,"nbf":50.5}',
      now: 50.4,
      expected: 'token_not_yet_valid',
    },
    { name: 'nbf as text', json: '{"exp":100,"nbf":"1"}', now: 50, expected: 'token_not_yet_valid' },
    { name: 'nbf null', json: '{"exp":100,"nbf":null}', now: 50, expected: 'token_not_yet_valid' },
    {
      name: 'nbf that is not finite',
      json: '{"exp":100,"nbf":-1e999}',
      now: 50,
      expected: 'token_not_yet_valid',
    },
    { name: 'over and not yet valid', json: '{"exp":100,"nbf":200}', now: 150, expected: 'token_expired' },
    {
      name: 'a future iat, which is ignored',
      json: '{"exp":100,"iat":99}',
      now: 50,
      expected: undefined,
    },
    {
      name: 'claims named like methods of objects',
      json: '{"exp":100,"hasOwnProperty":1,"__proto__":{"nbf":200}}',
      now: 50,
      expected: undefined,
    },
    { name: 'a clock of NaN', json: '{"exp":100}', now: Number.NaN, expected: 'token_expired' },
    {
      name: 'a tolerance of NaN',
      json: '{"exp":100}',
      now: 50,
      tolerance: Number.NaN,
      expected: 'token_expired',
    },
  ])('returns for $name: $expected', ({ json, now, tolerance = 0, expected }) => {
    expect(checkLifetime(tokenWith(json), now, tolerance)).toBe(expected);
  });
});

describe('hasIssuer', () => {
  const allowed = ['one.approov.io', 'two.approov.io'];
  it.each([
    { name: 'the first', iss: 'one.approov.io', expected: true },
    { name: 'another of the list', iss: 'two.approov.io', expected: true },
    { name: 'one that is not listed', iss: 'three.approov.io', expected: false },
    { name: 'one in another case', iss: 'ONE.approov.io', expected: false },
    { name: 'an empty one', iss: '', expected: false },
    { name: 'a list with the right one', iss: ['one.approov.io'], expected: false },
    { name: 'a number', iss: 1, expected: false },
    { name: 'none', iss: undefined, expected: false },
  ])('returns for $name: $expected', ({ iss, expected }) => {
    expect(hasIssuer(verifiedToken({ iss }), allowed)).toBe(expected);
  });

  it('never accepts an empty issuer, even if the empty string is allowed', () => {
    expect(hasIssuer(verifiedToken({ iss: '' }), [''])).toBe(false);
  });
});

describe('hasAudience', () => {
  const allowed = ['a.example.com', 'b.example.com'];
  it.each([
    { name: 'the first', aud: 'a.example.com', expected: true },
    { name: 'another of the list', aud: 'b.example.com', expected: true },
    { name: 'one that is not listed', aud: 'c.example.com', expected: false },
    { name: 'a list with a right one', aud: ['c.example.com', 'b.example.com'], expected: true },
    {
      name: 'a list with a match among other values',
      aud: [1, null, '', 'a.example.com'],
      expected: true,
    },
    { name: 'a list without a right one', aud: ['c.example.com'], expected: false },
    { name: 'a list in a list', aud: [['a.example.com']], expected: false },
    { name: 'an empty list', aud: [], expected: false },
    { name: 'an empty one', aud: '', expected: false },
    { name: 'an object', aud: { 0: 'a.example.com' }, expected: false },
    { name: 'none', aud: undefined, expected: false },
  ])('returns for $name: $expected', ({ aud, expected }) => {
    expect(hasAudience(verifiedToken({ aud }), allowed)).toBe(expected);
  });

  it.each(['', ['']])('never accepts %j, even if the empty string is allowed', (aud) => {
    expect(hasAudience(verifiedToken({ aud }), [''])).toBe(false);
  });
});

/** A token with claims that JSON.stringify cannot write, such as infinite numbers. */
function tokenWith(claimsJson: string): VerifiedToken {
  const signingInput = `${base64url('{"alg":"HS256"}')}.${base64url(claimsJson)}`;
  const signature = createHmac('sha256', SECRET_BYTES).update(signingInput).digest('base64url');
  const result = tokenOrReason(`${signingInput}.${signature}`);
  if (typeof result === 'string') throw new Error(`not verified: ${result}`);
  return result;
}
