import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenCache } from '../../../src/authz/token-cache.ts';
import { verifiedToken } from '../../support/check.ts';

const verified = verifiedToken({ exp: 100 });

describe('a token cache', () => {
  it('returns the token that was added, by its whole text', () => {
    const cache = new TokenCache(10);
    cache.add('a.b.c', verified, 50);
    expect(cache.get('a.b.c', 50)).toBe(verified);
    expect(cache.get('a.b.d', 50)).toBeUndefined();
    expect(cache.get('a.b.', 50)).toBeUndefined();
  });

  it.each([
    { name: 'lives until just before exp', exp: 100, at: 99.999, isKnown: true },
    { name: 'dies on exp', exp: 100, at: 100, isKnown: false },
    { name: 'lives until just before a fractional exp', exp: 100.5, at: 100.4, isKnown: true },
    { name: 'dies on a fractional exp', exp: 100.5, at: 100.5, isKnown: false },
  ])('has an entry that $name: $isKnown', ({ exp, at, isKnown }) => {
    const cache = new TokenCache(10);
    cache.add('t', verifiedToken({ exp }), 50);
    expect(cache.get('t', at) !== undefined).toBe(isKnown);
  });

  it('drops an expired entry, even if the clock goes back', () => {
    const cache = new TokenCache(10);
    cache.add('t', verified, 50);
    cache.get('t', 100);
    expect(cache.get('t', 50)).toBeUndefined();
  });

  it.each([
    { name: 'that is over', claims: { exp: 50 } },
    { name: 'without exp', claims: {} },
    { name: 'whose exp is a string', claims: { exp: '100' } },
  ])('never caches a token $name', ({ claims }) => {
    const cache = new TokenCache(10);
    cache.add('t', verifiedToken(claims), 50);
    expect(cache.get('t', 0)).toBeUndefined();
  });

  it('distinguishes tokens that end alike, of which it keeps the last', () => {
    const cache = new TokenCache(10);
    const tail = 'x'.repeat(100);
    cache.add(`a.b.${tail}`, verified, 50);
    expect(cache.get(`a.c.${tail}`, 50)).toBeUndefined();
    cache.add(`a.c.${tail}`, verified, 50);
    expect([`a.b.${tail}`, `a.c.${tail}`].map((token) => cache.get(token, 50))).toEqual([
      undefined,
      verified,
    ]);
  });

  it('keeps a token once for each suffix, however long', () => {
    const cache = new TokenCache(10, 30);
    const token = `a.b.${'x'.repeat(43)}`;
    const suffixes = ['0'.repeat(30), '1'.repeat(30)];
    for (const suffix of suffixes) cache.add(token + suffix, verified, 50);
    cache.add(`a.b.${'y'.repeat(43)}${suffixes[0]}`, verified, 50);
    expect(suffixes.map((suffix) => cache.get(token + suffix, 50))).toEqual([verified, verified]);
  });

  it('evicts the oldest entry when full', () => {
    const cache = new TokenCache(2);
    for (const token of ['a', 'b', 'c']) cache.add(token, verified, 50);
    expect(['a', 'b', 'c'].map((token) => cache.get(token, 50) !== undefined)).toEqual([false, true, true]);
  });

  it('has the newest entries after any additions, expiries and changes of its size', () => {
    const step = fc.record({
      token: fc.nat(12),
      expires: fc.boolean(),
      size: fc.integer({ min: 1, max: 6 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const cache = new TokenCache(6);
        let newest: string[] = [];
        for (const { token, expires, size } of steps) {
          const text = `t${token}`;
          cache.resize(size);
          cache.add(text, verified, 50);
          newest = [...newest.slice(-size).filter((each) => each !== text), text].slice(-size);
          if (!expires) continue;
          cache.get(text, 100);
          newest.pop();
        }
        const known = Array.from({ length: 13 }, (_, token) => `t${token}`).filter((each) =>
          cache.get(each, 50),
        );
        expect(known.sort()).toEqual(newest.sort());
      }),
    );
  });

  describe('of an encrypted token', () => {
    const known = (cache: TokenCache, ...tokens: readonly string[]) =>
      tokens.map((token) => cache.get(token, 50) !== undefined);

    it('returns it by the encrypted token too, until it expires', () => {
      const cache = new TokenCache(10);
      cache.add('inner', verified, 50);
      cache.addEnvelope('encrypted', 'inner');
      expect(cache.get('encrypted', 99)).toBe(verified);
      expect(cache.get('encrypted', 100)).toBeUndefined();
      expect(known(cache, 'encrypted', 'inner')).toEqual([false, false]);
    });

    it('keeps the last encrypted token of each entry only', () => {
      const cache = new TokenCache(2);
      cache.add('other', verified, 50);
      cache.add('inner', verified, 50);
      for (const encrypted of ['e1', 'e2', 'e3']) cache.addEnvelope(encrypted, 'inner');
      expect(known(cache, 'e1', 'e2', 'e3', 'inner', 'other')).toEqual([false, false, true, true, true]);
    });

    it('drops the encrypted token with its inner token', () => {
      const cache = new TokenCache(1);
      cache.add('inner', verified, 50);
      cache.addEnvelope('encrypted', 'inner');
      cache.add('next', verified, 50);
      expect(known(cache, 'encrypted', 'inner', 'next')).toEqual([false, false, true]);
    });

    it('does not cache an encrypted token without its inner token', () => {
      const cache = new TokenCache(0);
      cache.add('inner', verified, 50);
      cache.addEnvelope('encrypted', 'inner');
      expect(known(cache, 'encrypted')).toEqual([false]);
    });
  });

  it('keeps its entries when it is resized, except for the oldest beyond a smaller limit', () => {
    const cache = new TokenCache(2);
    for (const token of ['a', 'b']) cache.add(token, verified, 50);
    cache.addEnvelope('encrypted', 'a');
    cache.resize(3);
    cache.add('c', verified, 50);
    const known = (...tokens: string[]) => tokens.filter((token) => cache.get(token, 50) !== undefined);
    expect(known('a', 'b', 'c', 'encrypted')).toEqual(['a', 'b', 'c', 'encrypted']);
    cache.resize(1);
    expect(known('a', 'b', 'c', 'encrypted')).toEqual(['c']);
  });

  it('is off with 0 entries', () => {
    const cache = new TokenCache(0);
    cache.add('t', verified, 50);
    expect(cache.get('t', 50)).toBeUndefined();
  });
});
