import { describe, expect, it } from 'vitest';
import { CompactToken, MAX_TOKEN_BYTES } from '../../../src/approov/compact-token.ts';
import { base64url, mintToken, OTHER_SECRET_BYTES } from '../../support/token.ts';

const CLAIMS = { exp: 1, did: 'a device' };
const FORGED = mintToken(CLAIMS, { secret: OTHER_SECRET_BYTES });
const [HEADER = '', PAYLOAD = '', SIGNATURE = ''] = FORGED.split('.');
const JWE_HEADER = base64url('{"alg":"dir","enc":"A256GCM"}');

describe('a compact token', () => {
  it.each([
    {
      name: 'the header and claims of a token that no key signed',
      token: FORGED,
      expected: { header: { alg: 'HS256', typ: 'JWT' }, claims: CLAIMS },
    },
    {
      name: 'a header though the payload is not JSON',
      token: `${HEADER}.QQ.${SIGNATURE}`,
      expected: { header: { alg: 'HS256', typ: 'JWT' }, claims: undefined },
    },
    {
      name: 'a token without signature',
      token: `${HEADER}.${PAYLOAD}.`,
      expected: { header: { alg: 'HS256', typ: 'JWT' }, claims: CLAIMS },
    },
    {
      name: 'the header of a JWE',
      token: `${JWE_HEADER}..QQ.QQ.QQ`,
      expected: { header: { alg: 'dir', enc: 'A256GCM' }, claims: undefined },
    },
    {
      name: 'nothing of a malformed token',
      token: 'adasdasdsadasd',
      expected: { header: undefined, claims: undefined },
    },
    {
      name: 'nothing of a token over 8 KiB',
      token: mintToken({ pad: 'x'.repeat(MAX_TOKEN_BYTES) }),
      expected: { header: undefined, claims: undefined },
    },
  ])('shows $name', ({ token, expected }) => {
    const { header, claims } = new CompactToken(token);
    expect({ header, claims }).toEqual(expected);
  });

  it('is parsed once, whatever reads it', () => {
    const token = new CompactToken(FORGED);
    expect(token.header).toBe(token.header);
    expect(token.claims).toBe(token.claims);
    expect(token.parsed).toBe(token.parsed);
  });

  it.each([
    [`${JWE_HEADER}....`, true],
    [`${JWE_HEADER}.AA.AA.AA.AA`, true],
    ['....', false],
    ['AA.AA.AA.AA.AA', false],
    [`${JWE_HEADER}.AA.AA`, false],
    [`${JWE_HEADER}.AA.AA.AA`, false],
    [`${JWE_HEADER}.AA.AA.AA.AA.AA`, false],
    [`${JWE_HEADER}.AA.AA.A.AA`, false],
    ['', false],
  ])('%j is encrypted: %s', (token, expected) => {
    expect(new CompactToken(token).isEncrypted).toBe(expected);
  });
});
