import { describe, expect, it } from 'vitest';
import { ALGORITHM_NAMES, algorithmRow, parseAlgorithm } from '../../../src/approov/algorithm.ts';

describe('the table of algorithms', () => {
  it('has those for secrets, RSA, elliptic curves and Ed25519', () => {
    expect(ALGORITHM_NAMES).toEqual([
      ...['HS256', 'HS384', 'HS512'],
      ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
      ...['ES256', 'ES384', 'ES512', 'EdDSA'],
    ]);
  });

  it.each(ALGORITHM_NAMES.filter((name) => name !== 'EdDSA'))('has for %s the hash in its name', (name) => {
    expect(algorithmRow(name).hash).toBe(`sha${name.slice(2)}`);
  });

  it('has one key family for each algorithm', () => {
    const families = { HS: 'secret', RS: 'rsa', PS: 'rsa', ES: 'ec', Ed: 'ed25519' };
    for (const name of ALGORITHM_NAMES) {
      expect([name, algorithmRow(name).family]).toEqual([name, families[name.slice(0, 2) as 'HS']]);
    }
  });

  it('has PSS padding for the PS algorithms only', () => {
    expect(ALGORITHM_NAMES.filter((name) => algorithmRow(name).isPss)).toEqual(['PS256', 'PS384', 'PS512']);
  });

  it.each([
    ['ES256', 'prime256v1'],
    ['ES384', 'secp384r1'],
    ['ES512', 'secp521r1'],
  ] as const)('binds %s to the curve %s', (name, curve) => {
    expect(algorithmRow(name).curve).toBe(curve);
  });

  it('has no hash for EdDSA', () => {
    expect(algorithmRow('EdDSA')).toEqual({ family: 'ed25519', hash: null });
  });
});

describe('parseAlgorithm', () => {
  it.each(ALGORITHM_NAMES)('parses %s', (name) => {
    expect(parseAlgorithm(name)).toBe(name);
  });

  it('parses Ed25519 (RFC 9864) as EdDSA', () => {
    expect(parseAlgorithm('Ed25519')).toBe('EdDSA');
  });

  it.each([
    ['none', 'none'],
    ['a name in another case', 'hs256'],
    ['a name with a blank', 'HS256 '],
    ['an algorithm of encryption', 'RSA-OAEP'],
    ['an unsupported curve', 'ES256K'],
    ['EdDSA with another curve', 'Ed448'],
    ['what every object has', 'toString'],
    ['what every object descends from', '__proto__'],
    ['a list', ['HS256']],
    ['nothing', undefined],
    ['null', null],
    ['a number', 256],
  ])('rejects %s', (_what, value) => {
    expect(parseAlgorithm(value)).toBeUndefined();
  });
});
