import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CompactToken, MAX_TOKEN_BYTES } from '../../../src/approov/compact-token.ts';
import type { VerificationKey } from '../../../src/approov/keyset.ts';
import { hasClaims, startAttempts, type VerifiedToken, verifyToken } from '../../../src/approov/token.ts';
import { keysetOf, symmetricKey, tokenOrReason, verify } from '../../support/check.ts';
import {
  base64url,
  mintToken,
  OTHER_SECRET,
  OTHER_SECRET_BYTES,
  SECRET,
  SECRET_BYTES,
} from '../../support/token.ts';

const CLAIMS = { exp: 1, did: 'a device' };
const TOKEN = mintToken(CLAIMS);
const [HEADER = '', PAYLOAD = '', SIGNATURE = ''] = TOKEN.split('.');
const JWE_HEADER = base64url('{"alg":"dir","enc":"A256GCM"}');

describe('the public-key verifications of a check', () => {
  let tried = 0;
  const publicKey = (verifies: boolean): VerificationKey => ({
    ...symmetricKey({ id: 'public', algorithms: ['ES256'] }),
    verify: () => {
      tried += 1;
      return verifies;
    },
  });
  const others = (count: number) => Array.from({ length: count }, () => publicKey(false));
  const token = sign('{"alg":"ES256"}', '{"a":1}');
  const outcome = (keys: readonly VerificationKey[], attempts = startAttempts()) => {
    tried = 0;
    const result = verifyToken(new CompactToken(token), keysetOf(...keys), 'a.test', attempts);
    return [result.kind === 'rejected' ? result.reason : result.token.keyId, tried];
  };

  it('are eight at most; with more keys the token is rejected as internal_error', () => {
    expect(outcome([...others(7), publicKey(true)])).toEqual(['public', 8]);
    expect(outcome(others(8))).toEqual(['invalid_token_signature', 8]);
    expect(outcome([...others(8), publicKey(true)])).toEqual(['internal_error', 8]);
    expect(outcome(others(100))).toEqual(['internal_error', 8]);
  });

  it('are eight for all its tokens together', () => {
    const attempts = startAttempts();
    expect(outcome(others(5), attempts)).toEqual(['invalid_token_signature', 5]);
    expect(outcome(others(5), attempts)).toEqual(['internal_error', 3]);
    expect(outcome(others(5), attempts)).toEqual(['internal_error', 0]);
  });

  it('do not count secrets, which are cheap to try', () => {
    const secrets = Array.from({ length: 20 }, () => symmetricKey({ id: 'other', secret: OTHER_SECRET }));
    expect(tokenOrReason(TOKEN, keysetOf(...secrets, symmetricKey()))).toMatchObject({ keyId: 'current' });
  });
});

describe('verifyToken', () => {
  it('returns the claims and the id of the key that signed, whatever the claims are', () => {
    expect(tokenOrReason(TOKEN)).toEqual({ keyId: 'current', claims: CLAIMS });
  });

  it.each([
    { name: 'claims without a lifetime', token: mintToken({}), expected: {} },
    { name: 'a header without typ', token: sign('{"alg":"HS256"}', '{"a":1}'), expected: { a: 1 } },
    { name: 'any typ', token: mintToken({ a: 1 }, { header: { typ: 'at+jwt' } }), expected: { a: 1 } },
    {
      name: 'unknown header fields',
      token: mintToken({ a: 1 }, { header: { b64: false, x: [] } }),
      expected: { a: 1 },
    },
    {
      name: 'JSON with white space',
      token: sign(' {"alg" : "HS256"}\n', '\t{ "a" : 1 }'),
      expected: { a: 1 },
    },
    {
      name: 'the last of two claims with one name',
      token: sign('{"alg":"HS256"}', '{"a":1,"a":2}'),
      expected: { a: 2 },
    },
    {
      name: 'a kid, where the key declares none',
      token: mintToken({ a: 1 }, { header: { kid: 'x' } }),
      expected: { a: 1 },
    },
  ])('accepts $name', ({ token, expected }) => {
    expect(tokenOrReason(token)).toMatchObject({ claims: expected });
  });

  it.each(['HS256', 'HS384', 'HS512'] as const)(
    'verifies %s with a key that allows it, and with no other',
    (alg) => {
      const token = mintToken(CLAIMS, { header: { alg } });
      const others = (['HS256', 'HS384', 'HS512'] as const).filter((other) => other !== alg);
      expect(tokenOrReason(token, keysetOf(symmetricKey({ algorithms: [alg] })))).toMatchObject({
        claims: CLAIMS,
      });
      expect(tokenOrReason(token, keysetOf(symmetricKey({ algorithms: others })))).toBe(
        'unsupported_token_algorithm',
      );
    },
  );

  it('tries every key that the header allows, and returns the one that signed', () => {
    const keys = keysetOf(symmetricKey({ id: 'old', secret: OTHER_SECRET }), symmetricKey({ id: 'new' }));
    expect(tokenOrReason(TOKEN, keys)).toMatchObject({ keyId: 'new' });
    expect(tokenOrReason(mintToken(CLAIMS, { secret: OTHER_SECRET_BYTES }), keys)).toMatchObject({
      keyId: 'old',
    });
  });

  it('tries only the keys that declare the kid, even if another signed', () => {
    const keys = keysetOf(
      symmetricKey({ id: 'named', kid: 'k', secret: OTHER_SECRET }),
      symmetricKey({ id: 'nameless' }),
    );
    expect(tokenOrReason(mintToken(CLAIMS, { header: { kid: 'k' } }), keys)).toBe('invalid_token_signature');
    expect(tokenOrReason(TOKEN, keys)).toMatchObject({ keyId: 'nameless' });
  });

  it.each([
    { jwk: { kty: 'oct', k: OTHER_SECRET_BYTES.toString('base64url'), alg: 'HS256' } },
    { jku: `data:application/json,${JSON.stringify({ keys: [{ kty: 'oct', k: OTHER_SECRET }] })}` },
    { x5u: 'https://attacker.test/', x5c: [OTHER_SECRET] },
  ])('uses no key that the token brings: %j', (header) => {
    const token = mintToken(CLAIMS, { header, secret: OTHER_SECRET_BYTES });
    expect(tokenOrReason(token)).toBe('invalid_token_signature');
    expect(tokenOrReason(token, keysetOf(symmetricKey({ secret: OTHER_SECRET })))).toMatchObject({
      claims: CLAIMS,
    });
  });

  it.each([
    { name: 'no dot', token: 'adasdasdsadasd' },
    { name: 'an empty token', token: '' },
    { name: 'only dots', token: '..' },
    { name: 'one dot', token: `${HEADER}.${PAYLOAD}` },
    { name: 'four parts', token: `${TOKEN}.${SIGNATURE}` },
    { name: 'four parts, the last empty', token: `${TOKEN}.` },
    { name: 'six parts', token: `${JWE_HEADER}.a.a.a.a.a`.replaceAll('.a', '.QQ') },
    { name: 'thousands of dots', token: '.'.repeat(8000) },
    { name: 'an empty header', token: `.${PAYLOAD}.${SIGNATURE}` },
    { name: 'an empty payload', token: `${HEADER}..${SIGNATURE}` },
    { name: 'an empty payload with a signature that fits', token: sign('{"alg":"HS256"}', '') },
    { name: 'padding', token: `${TOKEN}=` },
    { name: 'a space before it', token: ` ${TOKEN}` },
    { name: 'a line feed after it', token: `${TOKEN}\n` },
    { name: 'a prefix', token: `Bearer ${TOKEN}` },
    { name: 'a character of the other alphabet', token: `${HEADER}.${PAYLOAD}.+${SIGNATURE.slice(1)}` },
    { name: 'a character outside ASCII', token: `${HEADER}.${PAYLOAD}.é${SIGNATURE.slice(1)}` },
    {
      name: 'spare bits set in its last character',
      token: TOKEN.replace(/.$/, (last) => nextCharacter(last)),
    },
    { name: 'a header that is not JSON', token: sign('alg=HS256', '{}') },
    { name: 'a header that is a list', token: sign('["HS256"]', '{}') },
    { name: 'a header that is null', token: sign('null', '{}') },
    { name: 'a header that is text', token: sign('"HS256"', '{}') },
    { name: 'a header with a byte order mark', token: sign('\ufeff{"alg":"HS256"}', '{}') },
    {
      name: 'a header that is not UTF-8',
      token: sign(Buffer.from('{"alg":"HS256","a":"\xff"}', 'latin1'), '{}'),
    },
    { name: 'a five-part token whose header is not JSON', token: 'QQ.QQ.QQ.QQ.QQ' },
    { name: 'an empty signature', token: `${HEADER}.${PAYLOAD}.` },
    {
      name: 'an empty signature and an alg that no key allows',
      token: `${base64url('{"alg":"RS256"}')}.${PAYLOAD}.`,
    },
  ])('rejects as malformed: $name', ({ token }) => {
    expect(tokenOrReason(token)).toBe('invalid_token_format');
  });

  it.each([
    { name: 'is not JSON', token: sign('{"alg":"HS256"}', '{') },
    { name: 'is a list', token: mintToken([1]) },
    { name: 'is null', token: mintToken(null) },
    { name: 'is text', token: mintToken('exp') },
    { name: 'is not UTF-8', token: sign('{"alg":"HS256"}', Buffer.from('{"a":"\xff"}', 'latin1')) },
  ])('verifies a payload that $name, but without claims', ({ token }) => {
    const verified = tokenOrReason(token) as VerifiedToken;
    expect(verified).toEqual({ keyId: 'current', claims: {} });
    expect(hasClaims(verified)).toBe(false);
  });

  it('reads an empty object as claims', () => {
    expect(hasClaims(tokenOrReason(mintToken({})) as VerifiedToken)).toBe(true);
  });

  it.each([
    { name: 'alg none without signature', token: `${base64url('{"alg":"none"}')}.${PAYLOAD}.` },
    { name: 'alg none with one', token: mintToken(CLAIMS, { header: { alg: 'none' } }) },
    { name: 'alg None', token: mintToken(CLAIMS, { header: { alg: 'None' } }) },
    { name: 'alg in lower case', token: mintToken(CLAIMS, { header: { alg: 'hs256' } }) },
    { name: 'no alg', token: sign('{"typ":"JWT"}', '{}') },
    { name: 'an alg that is a list', token: sign('{"alg":["HS256"]}', '{}') },
    {
      name: 'an alg that is a member of every object',
      token: sign('{"alg":"constructor"}', '{}'),
    },
    { name: 'the last of two algs', token: sign('{"alg":"HS256","alg":"none"}', '{}') },
    { name: 'an asymmetric alg', token: mintToken(CLAIMS, { header: { alg: 'RS256' } }) },
    { name: 'crit', token: mintToken(CLAIMS, { header: { crit: ['exp'] } }) },
    { name: 'crit for b64', token: mintToken(CLAIMS, { header: { crit: ['b64'], b64: true } }) },
    { name: 'crit that is empty', token: mintToken(CLAIMS, { header: { crit: [] } }) },
    { name: 'crit that is null', token: mintToken(CLAIMS, { header: { crit: null } }) },
    { name: 'a JWE', token: `${JWE_HEADER}.QQ.QQ.QQ.QQ` },
    { name: 'a JWE without an encrypted key', token: `${JWE_HEADER}..QQ.QQ.QQ` },
    { name: 'five parts that claim HS256', token: `${HEADER}.QQ.QQ.QQ.QQ` },
    { name: 'five parts with every part but the first empty', token: `${JWE_HEADER}....` },
  ])('rejects as unsupported_token_algorithm: $name', ({ token }) => {
    expect(tokenOrReason(token)).toBe('unsupported_token_algorithm');
  });

  it.each([
    { name: 'signed with another secret', token: mintToken(CLAIMS, { secret: OTHER_SECRET_BYTES }) },
    {
      name: 'signed with the base64 text of the secret',
      token: mintToken(CLAIMS, { secret: Buffer.from(SECRET) }),
    },
    { name: 'with a signature of another length', token: `${HEADER}.${PAYLOAD}.${SIGNATURE.slice(0, 40)}` },
    { name: 'with another payload', token: `${HEADER}.${base64url('{"exp":2}')}.${SIGNATURE}` },
    { name: 'with another header', token: `${base64url('{"alg":"HS256"}')}.${PAYLOAD}.${SIGNATURE}` },
    { name: 'with a payload that is not JSON', token: `${HEADER}.QQ.${SIGNATURE}` },
    {
      name: 'with the signature of another alg',
      token: `${HEADER}.${PAYLOAD}.${hmac('sha512', `${HEADER}.${PAYLOAD}`)}`,
    },
  ])('rejects as invalid_token_signature: a token $name', ({ token }) => {
    expect(tokenOrReason(token)).toBe('invalid_token_signature');
  });

  it('accepts a token of 8 KiB, and not one byte more', () => {
    const longest = tokenOfLength(MAX_TOKEN_BYTES);
    expect([MAX_TOKEN_BYTES, longest.length]).toEqual([8192, 8192]);
    expect(tokenOrReason(longest)).toMatchObject({ keyId: 'current' });
    expect(tokenOrReason(tokenOfLength(MAX_TOKEN_BYTES + 1))).toBe('invalid_token_format');
  });
});

describe('a rejected token', () => {
  const named = symmetricKey({ id: 'named', kid: 'k', algorithms: ['HS256', 'HS512'] });
  const other = symmetricKey({ id: 'other' });

  it.each([
    { name: 'that is malformed', token: 'a.b', step: 'token', facts: undefined },
    {
      name: 'without a signature',
      token: `${HEADER}.${PAYLOAD}.`,
      step: 'key',
      facts: { alg: 'HS256', kid: undefined, keys: [] },
    },
    {
      name: 'whose kid has no key for its alg',
      token: mintToken(CLAIMS, { header: { kid: 'k', alg: 'RS256' } }),
      step: 'key',
      facts: { alg: 'RS256', kid: 'k', keys: [{ id: 'named' }] },
    },
    {
      name: 'with a kid that no key declares',
      token: mintToken(CLAIMS, { header: { kid: 'k9' } }),
      keys: [named],
      step: 'key',
      facts: { alg: 'HS256', kid: 'k9', keys: [] },
    },
    {
      name: 'that no key signed',
      token: mintToken(CLAIMS, { secret: OTHER_SECRET_BYTES }),
      step: 'signature',
      facts: { alg: 'HS256', kid: undefined, keys: [{ id: 'named' }, { id: 'other' }] },
    },
  ])('$name reports its step and the keys tried', ({ token, keys = [named, other], step, facts }) => {
    expect(verify(token, keysetOf(...keys))).toMatchObject({ kind: 'rejected', step, facts });
  });
});

/** Signs any header and payload with HS256. */
function sign(header: string | Buffer, payload: string | Buffer): string {
  const signingInput = [header, payload]
    .map((part) => Buffer.from(part as string).toString('base64url'))
    .join('.');
  return `${signingInput}.${hmac('sha256', signingInput)}`;
}

function hmac(hash: string, signingInput: string): string {
  return createHmac(hash, SECRET_BYTES).update(signingInput).digest('base64url');
}

function tokenOfLength(length: number): string {
  // Base64 does not reach every length; with one of these headers it does.
  for (const typ of ['', 'x', 'xx']) {
    for (let pad = Math.floor(length * 0.7); pad < length * 0.75; pad++) {
      const token = mintToken({ pad: 'x'.repeat(pad) }, { header: { typ } });
      if (token.length === length) return token;
    }
  }
  throw new Error(`no token of ${length} characters`);
}

/** The character whose value is one higher: after 32 bytes, the lowest two bits of the last character are spare. */
function nextCharacter(character: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return alphabet.charAt(alphabet.indexOf(character) + 1);
}
