/** Owns the proof of what the token cache remembers, and for how long. */
import { describe, expect, it } from 'vitest';
import { TokenCache } from '../../../src/authz/token-cache.ts';
import { verifiedToken } from '../../support/check.ts';

const verified = verifiedToken({ exp: 100 });

describe('a token cache', () => {
  it('gives back the very token that was added, by its whole text', () => {
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
  ])('keeps an entry that $name', ({ exp, at, isKnown }) => {
    const cache = new TokenCache(10);
    cache.add('t', verifiedToken({ exp }), 50);
    expect(cache.get('t', at) !== undefined).toBe(isKnown);
  });

  it('forgets an entry that died, should the clock go back or not', () => {
    const cache = new TokenCache(10);
    cache.add('t', verified, 50);
    cache.get('t', 100);
    expect(cache.get('t', 50)).toBeUndefined();
  });

  it.each([
    { name: 'that is over', claims: { exp: 50 } },
    { name: 'without exp', claims: {} },
    { name: 'whose exp is a text', claims: { exp: '100' } },
  ])('never remembers a token $name', ({ claims }) => {
    const cache = new TokenCache(10);
    cache.add('t', verifiedToken(claims), 50);
    expect(cache.get('t', 0)).toBeUndefined();
  });

  it('lets the oldest entry make room once it is full', () => {
    const cache = new TokenCache(2);
    for (const token of ['a', 'b', 'c']) cache.add(token, verified, 50);
    expect(['a', 'b', 'c'].map((token) => cache.get(token, 50) !== undefined)).toEqual([false, true, true]);
  });

  describe('of a token that came encrypted', () => {
    const known = (cache: TokenCache, ...tokens: readonly string[]) =>
      tokens.map((token) => cache.get(token, 50) !== undefined);

    it('gives it back by the encrypted one as well, for as long as it lives', () => {
      const cache = new TokenCache(10);
      cache.add('inside', verified, 50);
      cache.addEnvelope('encrypted', 'inside');
      expect(cache.get('encrypted', 99)).toBe(verified);
      expect(cache.get('encrypted', 100)).toBeUndefined();
      expect(known(cache, 'encrypted', 'inside')).toEqual([false, false]);
    });

    it('knows the last encrypted one of each, so that nobody fills it by encrypting one token again', () => {
      const cache = new TokenCache(2);
      cache.add('other', verified, 50);
      cache.add('inside', verified, 50);
      for (const encrypted of ['e1', 'e2', 'e3']) cache.addEnvelope(encrypted, 'inside');
      expect(known(cache, 'e1', 'e2', 'e3', 'inside', 'other')).toEqual([false, false, true, true, true]);
    });

    it('forgets the encrypted one with the token inside', () => {
      const cache = new TokenCache(1);
      cache.add('inside', verified, 50);
      cache.addEnvelope('encrypted', 'inside');
      cache.add('next', verified, 50);
      expect(known(cache, 'encrypted', 'inside', 'next')).toEqual([false, false, true]);
    });

    it('remembers no encrypted one of a token that it does not know', () => {
      const cache = new TokenCache(0);
      cache.add('inside', verified, 50);
      cache.addEnvelope('encrypted', 'inside');
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

  it('is switched off with no entries', () => {
    const cache = new TokenCache(0);
    cache.add('t', verified, 50);
    expect(cache.get('t', 50)).toBeUndefined();
  });
});
