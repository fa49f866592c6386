import { describe, expect, it } from 'vitest';
import { CompactToken } from '../../../../src/approov/compact-token.ts';
import { foreignMarks } from '../../../../src/commands/explain/foreign-token.ts';
import { mintToken } from '../../../support/token.ts';

function marks(claims: unknown, header = {}): readonly string[] {
  return foreignMarks(new CompactToken(mintToken(claims, { header })));
}

describe('a token', () => {
  it.each([
    [{ iss: 'https://accounts.example.com' }, ['iss "https://accounts.example.com"']],
    [{ email: 'x@example.com', scope: 'openid', exp: 1 }, ['email', 'scope']],
    [{ iss: `https://${'x'.repeat(100)}` }, [`iss "https://${'x'.repeat(71)}…`]],
  ])('with claims %j is for something else', (claims, expected) => {
    expect(marks(claims)).toEqual(expected);
  });

  it('of type at+jwt is for something else', () => {
    expect(marks({}, { typ: 'at+jwt' })).toEqual(['typ "at+jwt"']);
  });

  it.each([
    {},
    { exp: 1, iss: 'acme.approov.io', aud: 'api.example.com', sub: 'approov|x' },
    ...['did', 'arc', 'ip', 'pay', 'ipk', 'mskid', 'anno', 'embed'].map((name) => ({
      [name]: 'x',
      iss: 'https://example.com',
      email: 'x@example.com',
    })),
    [],
  ])('with claims %j may be Approov’s', (claims) => {
    expect(marks(claims)).toEqual([]);
  });

  it('that cannot be read shows nothing', () => {
    expect(foreignMarks(new CompactToken('x'))).toEqual([]);
  });
});
