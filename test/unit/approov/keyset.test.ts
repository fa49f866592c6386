import { describe, expect, it } from 'vitest';
import type { Algorithm } from '../../../src/approov/algorithm.ts';
import {
  hasUnknownKid,
  type Keyset,
  keysetWarnings,
  selectKeys,
  type VerificationKey,
} from '../../../src/approov/keyset.ts';
import { Secret } from '../../../src/approov/secret.ts';
import { keysetOf, symmetricKey } from '../../support/check.ts';
import { OTHER_SECRET, SECRET } from '../../support/token.ts';

const a = symmetricKey({ id: 'a', kid: 'kid-1' });
const a2 = symmetricKey({ id: 'a2', kid: 'kid-1' });
const b = symmetricKey({ id: 'b' });
const c = symmetricKey({ id: 'c', algorithms: ['HS384', 'HS512'] });
const d = symmetricKey({ id: 'd', kid: 'kid-2', algorithms: ['HS512'] });
const e = symmetricKey({ id: 'e', kid: 'kid-1', algorithms: ['HS512'] });

function select(keyset: Keyset, header: Readonly<Record<string, unknown>>, host = 'a.test') {
  const selected = selectKeys(keyset, header, host);
  return selected.kind === 'none' ? selected.reason : selected.keys.map((key) => key.id);
}

describe('the keys selected for a token', () => {
  it.each([
    { name: 'every key without a kid', keys: [a, b], header: { alg: 'HS256' }, expected: ['a', 'b'] },
    {
      name: 'the key that declares the kid',
      keys: [a, b],
      header: { alg: 'HS256', kid: 'kid-1' },
      expected: ['a'],
    },
    {
      name: 'each of several that declare it',
      keys: [a, a2, b],
      header: { alg: 'HS256', kid: 'kid-1' },
      expected: ['a', 'a2'],
    },
    {
      name: 'those that declare none, if none declares the kid',
      keys: [a, b, d],
      header: { alg: 'HS256', kid: 'kid-9' },
      expected: ['b'],
    },
    {
      name: 'of those that declare none, the ones that allow the alg',
      keys: [a, b, c],
      header: { alg: 'HS512', kid: 'kid-9' },
      expected: ['c'],
    },
    {
      name: 'of those of the kid, the ones that allow the alg',
      keys: [a, e],
      header: { alg: 'HS512', kid: 'kid-1' },
      expected: ['e'],
    },
    {
      name: 'those that declare none, if the kid is null',
      keys: [a, b],
      header: { alg: 'HS256', kid: null },
      expected: ['b'],
    },
    {
      name: 'none, if each declares another kid',
      keys: [a, d],
      header: { alg: 'HS256', kid: 'kid-9' },
      expected: 'unknown_key_id',
    },
    {
      name: 'none, if each declares another kid, whatever the alg',
      keys: [a, d],
      header: { alg: 'RS256', kid: 'kid-9' },
      expected: 'unknown_key_id',
    },
    {
      name: 'none of a kid that is a number',
      keys: [a],
      header: { alg: 'HS256', kid: 1 },
      expected: 'unknown_key_id',
    },
    {
      name: 'none of a kid that is empty',
      keys: [a],
      header: { alg: 'HS256', kid: '' },
      expected: 'unknown_key_id',
    },
    {
      name: 'none of a kid in another case',
      keys: [a],
      header: { alg: 'HS256', kid: 'KID-1' },
      expected: 'unknown_key_id',
    },
    {
      name: 'none, if those of the kid do not allow the alg though others do',
      keys: [b, d],
      header: { alg: 'HS256', kid: 'kid-2' },
      expected: 'unsupported_token_algorithm',
    },
    { name: 'none without an alg', keys: [b], header: {}, expected: 'unsupported_token_algorithm' },
    {
      name: 'none for an alg in another case',
      keys: [b],
      header: { alg: 'hs256' },
      expected: 'unsupported_token_algorithm',
    },
    {
      name: 'none for an alg that is a list',
      keys: [b],
      header: { alg: ['HS256'] },
      expected: 'unsupported_token_algorithm',
    },
  ])('are $name', ({ keys, header, expected }) => {
    expect(select(keysetOf(...keys), header)).toEqual(expected);
  });

  it('are those of the request’s host and of every host', () => {
    const own = symmetricKey({ id: 'own', kid: 'kid-1', isForHost: (host) => host === 'a.test' });
    const keyset = keysetOf(own, b);
    expect(select(keyset, { alg: 'HS256' }, 'a.test')).toEqual(['own', 'b']);
    expect(select(keyset, { alg: 'HS256' }, 'b.test')).toEqual(['b']);
    expect(select(keyset, { alg: 'HS256', kid: 'kid-1' }, 'b.test')).toEqual(['b']);
    expect(select(keysetOf(own), { alg: 'HS256', kid: 'kid-1' }, 'b.test')).toBe('unknown_key_id');
  });
});

describe('a source that has never loaded', () => {
  const missing = [{ id: 'remote' }];

  it.each([
    {
      name: 'changes nothing if a loaded key fits',
      keys: [b],
      header: { alg: 'HS256', kid: 'x' },
      expected: ['b'],
    },
    {
      name: 'may have the key of an unknown kid',
      keys: [a],
      header: { alg: 'HS256', kid: 'x' },
      expected: 'internal_error',
    },
    {
      name: 'may have a key for an unsupported alg',
      keys: [b],
      header: { alg: 'ES256' },
      expected: 'internal_error',
    },
    {
      name: 'may have the key if no key is loaded',
      keys: [],
      header: { alg: 'ES256' },
      expected: 'internal_error',
    },
  ])('$name', ({ keys, header, expected }) => {
    expect(select({ keys, missing }, header)).toEqual(expected);
  });

  it('changes nothing for other hosts', () => {
    const elsewhere = [{ id: 'remote', isForHost: (host: string) => host === 'b.test' }];
    expect(select({ keys: [a], missing: elsewhere }, { alg: 'HS256', kid: 'x' }, 'a.test')).toBe(
      'unknown_key_id',
    );
    expect(select({ keys: [a], missing: elsewhere }, { alg: 'HS256', kid: 'x' }, 'b.test')).toBe(
      'internal_error',
    );
  });
});

describe('the warnings of a keyset', () => {
  const publicKeys = (count: number, fields: Partial<VerificationKey> = {}): VerificationKey[] =>
    Array.from({ length: count }, (_, index) => ({
      id: 'public',
      kid: `kid-${index}`,
      algorithms: ['ES256'] as readonly Algorithm[],
      fingerprint: '0123456789ab',
      isForHost: undefined,
      verify: () => false,
      ...fields,
    }));
  const ofMany =
    '9 keys may verify a token signed with ES256 that has no kid; a check tries the first 8, and answers internal_error if none of them verifies it';
  const onA = { isForHost: (host: string) => host === 'a.test' };
  const onB = { isForHost: (host: string) => host === 'b.test' };

  it.each<[what: string, keys: readonly VerificationKey[], warnings: readonly string[]]>([
    ['eight keys for an algorithm', publicKeys(8), []],
    ['nine keys for an algorithm', publicKeys(9), [ofMany]],
    ['nine keys for two', [...publicKeys(5), ...publicKeys(4, { algorithms: ['EdDSA'] })], []],
    ['nine secrets, which are cheap to try', Array.from({ length: 9 }, () => b), []],
    ['nine keys for a host', publicKeys(9, onA), [ofMany]],
    ['nine keys, some for every host', [...publicKeys(5), ...publicKeys(4, onB)], [ofMany]],
    ['nine keys for two hosts', [...publicKeys(5, onA), ...publicKeys(4, onB)], []],
  ])('of %s', (_what, keys, warnings) => {
    expect(keysetWarnings(keysetOf(...keys), ['a.test', 'b.test'])).toEqual(warnings);
  });
});

describe('hasUnknownKid', () => {
  it.each([
    { name: 'a kid that a key declares', header: { kid: 'kid-1' }, expected: false },
    { name: 'a kid that none declares', header: { kid: 'kid-9' }, expected: true },
    { name: 'no kid', header: {}, expected: false },
    { name: 'a kid that is not a string', header: { kid: 9 }, expected: false },
  ])('of $name: $expected', ({ header, expected }) => {
    expect(hasUnknownKid(keysetOf(a, b), header)).toBe(expected);
  });
});

describe('a symmetric key', () => {
  it('verifies with its secret and has its fingerprint', () => {
    const secret = Secret.parse(SECRET);
    const signature = secret.sign('HS256', 'x.y');
    expect(b.verify('HS256', 'x.y', signature)).toBe(true);
    expect(symmetricKey({ secret: OTHER_SECRET }).verify('HS256', 'x.y', signature)).toBe(false);
    expect(b.fingerprint).toBe(secret.fingerprint);
  });
});
