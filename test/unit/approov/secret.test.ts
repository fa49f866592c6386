import { createHash, createHmac } from 'node:crypto';
import { format, inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { KeyError } from '../../../src/approov/key-error.ts';
import { looksLikeSecret, Secret, signingLength } from '../../../src/approov/secret.ts';
import { OTHER_SECRET, SECRET, SECRET_BYTES } from '../../support/token.ts';

/** Their base64 has both characters in which the alphabets differ. */
const BYTES = Buffer.from(Array.from({ length: 32 }, (_, index) => (index % 2 === 0 ? 0xfb : 0xff)));
const BASE64 = BYTES.toString('base64');

describe('Secret.parse', () => {
  it.each([
    { name: 'base64', text: BASE64 },
    { name: 'base64 without padding', text: BASE64.replace('=', '') },
    { name: 'base64url', text: BYTES.toString('base64url') },
    { name: 'base64url with padding', text: `${BYTES.toString('base64url')}=` },
    { name: 'white space around it', text: `\r\n\t ${BASE64} \n\n` },
  ])('accepts $name', ({ text }) => {
    const expected = createHmac('sha256', BYTES).update('a.b').digest();
    expect(Secret.parse(text).sign('HS256', 'a.b')).toEqual(expected);
  });

  it.each([
    { name: 'an empty text', text: '', expected: 'the secret is empty' },
    { name: 'white space alone', text: ' \n\t', expected: 'the secret is empty' },
    {
      name: 'another character',
      text: `${BASE64.slice(0, 10)}*${BASE64.slice(11)}`,
      expected: 'the secret (44 characters) is neither base64 nor base64url',
    },
    {
      name: 'a mix of the alphabets',
      text: `-${BASE64.slice(1)}`,
      expected: 'the secret (44 characters) is neither base64 nor base64url',
    },
    {
      name: 'the banner that the Approov tool prints around a message signing key',
      text: `Account Message Signing Key\nWARNING: keep it secret\nKey ID: j3AWy6\nEncoding: base64url\n${BASE64}\n`,
      expected:
        'the secret (131 characters) is neither base64 nor base64url; line 5 alone is a secret: remove the banner that the Approov CLI printed around it',
    },
    {
      name: 'a note line before it, as the Approov tool prints one',
      text: `note: keep this\n${BASE64}\n`,
      expected:
        'the secret (60 characters) is neither base64 nor base64url; line 2 alone is a secret: remove the other lines',
    },
    {
      name: 'two secrets',
      text: `${BASE64}\n${BASE64}\n`,
      expected:
        'the secret (89 characters) is neither base64 nor base64url; it has white space inside: give the secret alone, on one line',
    },
    {
      name: 'quotes around it, as docker keeps those of an env file',
      text: `"${BASE64}"`,
      expected: 'the secret (46 characters) is neither base64 nor base64url; it is in quotes: remove them',
    },
    {
      name: 'one byte too few',
      text: Buffer.alloc(31, 7).toString('base64'),
      expected: 'the secret decodes to 31 bytes; at least 32 are needed for HS256',
    },
    {
      name: 'one byte',
      text: 'QQ==',
      expected: 'the secret decodes to 1 bytes; at least 32 are needed for HS256',
    },
  ])('rejects $name, with a reason that reveals no byte of it', ({ text, expected }) => {
    expect(() => Secret.parse(text)).toThrow(new KeyError(expected));
  });

  it.each([
    { algorithms: ['HS256'], least: 32, by: 'HS256' },
    { algorithms: ['HS384'], least: 48, by: 'HS384' },
    { algorithms: ['HS512'], least: 64, by: 'HS512' },
    { algorithms: ['HS256', 'HS512', 'HS384'], least: 64, by: 'HS512' },
  ] as const)(
    'takes as many bytes as RFC 7518 §3.2 requires of $algorithms: $least',
    ({ algorithms, least, by }) => {
      const parse = (bytes: number) =>
        Secret.parse(Buffer.alloc(bytes, 7).toString('base64'), signingLength(algorithms));
      expect(parse(least)).toBeInstanceOf(Secret);
      expect(() => parse(least - 1)).toThrow(
        new KeyError(`the secret decodes to ${least - 1} bytes; at least ${least} are needed for ${by}`),
      );
    },
  );
});

describe('a Secret', () => {
  const secret = Secret.parse(SECRET);

  it.each(['HS256', 'HS384', 'HS512'] as const)('signs and verifies %s', (algorithm) => {
    const expected = createHmac(algorithm.replace('HS', 'sha'), SECRET_BYTES).update('a.b').digest();
    expect(secret.sign(algorithm, 'a.b')).toEqual(expected);
    expect(secret.verify(algorithm, 'a.b', expected)).toBe(true);
  });

  const signature = secret.sign('HS256', 'a.b');
  it.each([
    { name: 'another text', text: 'a.c', bytes: signature },
    { name: 'a signature with one bit changed', text: 'a.b', bytes: withLastBitFlipped(signature) },
    { name: 'a signature cut short', text: 'a.b', bytes: signature.subarray(0, 31) },
    { name: 'a signature with a byte more', text: 'a.b', bytes: Buffer.concat([signature, Buffer.of(0)]) },
    { name: 'no signature', text: 'a.b', bytes: Buffer.alloc(0) },
    { name: 'a signature by another hash', text: 'a.b', bytes: secret.sign('HS512', 'a.b') },
    {
      name: 'a signature by another secret',
      text: 'a.b',
      bytes: Secret.parse(OTHER_SECRET).sign('HS256', 'a.b'),
    },
  ])('does not verify $name', ({ text, bytes }) => {
    expect(secret.verify('HS256', text, bytes)).toBe(false);
  });

  it('has as fingerprint the first 12 hex digits of its SHA-256', () => {
    expect(secret.fingerprint).toBe(createHash('sha256').update(SECRET_BYTES).digest('hex').slice(0, 12));
    expect(Secret.parse(SECRET_BYTES.toString('base64url')).fingerprint).toBe(secret.fingerprint);
  });

  it.each([
    { name: 'as text', print: () => `${secret}` },
    { name: 'as JSON', print: () => JSON.parse(JSON.stringify(secret)) },
    { name: 'by console.log', print: () => format('%s', secret) },
    { name: 'by inspect', print: () => inspect(secret, { showHidden: true, depth: 9 }) },
  ])('prints as [secret] $name', ({ print }) => {
    expect(print()).toBe('[secret]');
  });

  it('has no property except fingerprint and warning', () => {
    expect(Reflect.ownKeys(secret)).toEqual(['fingerprint', 'warning']);
  });
});

function withLastBitFlipped(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  changed.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  return changed;
}

describe('a secret that was probably encoded twice', () => {
  const twice = (text: string): string => Buffer.from(text).toString('base64');
  const hex = createHash('sha256').update('a').digest('hex');

  it.each([
    { name: 'base64 in base64', text: twice(SECRET), what: 'base64' },
    { name: 'base64 with a line end in base64', text: twice(`${SECRET}\n`), what: 'base64' },
    { name: 'base64url without padding in base64', text: twice(BYTES.toString('base64url')), what: 'base64' },
    { name: 'hex in base64', text: twice(hex), what: 'hex' },
    {
      name: 'hex in upper case in base64url',
      text: Buffer.from(hex.toUpperCase()).toString('base64url'),
      what: 'hex',
    },
  ])('is accepted with a warning that reveals nothing of it: $name', ({ text, what }) => {
    expect(Secret.parse(text).warning).toBe(
      `the secret decodes to text that is itself ${what}: it was probably encoded twice; decode it once`,
    );
  });

  it.each([
    { name: 'random bytes', text: SECRET },
    { name: 'a sentence', text: twice('correct horse battery staple, and more') },
    { name: 'characters beyond ASCII', text: twice('é'.repeat(32)) },
    { name: 'base64 with a character too many', text: twice(`${SECRET}*`) },
  ])('is not $name', ({ text }) => {
    expect(Secret.parse(text).warning).toBeUndefined();
  });
});

describe('a text', () => {
  it.each([
    { name: 'the path of a file', text: '/run/secrets/approov/current' },
    { name: 'a long path', text: '/srv/Approov/production/keys/current/SecretFile' },
    { name: 'a Windows path', text: 'C:\\ProgramData\\Approov\\secrets\\current.txt' },
    { name: 'a name with many words', text: 'approov-account-secret-of-the-production-environment' },
  ])('that is $name does not look like a secret', ({ text }) => {
    expect(looksLikeSecret(text)).toBe(false);
  });

  it('that is a secret looks like one, whatever its bytes and what is before it', () => {
    const missed: string[] = [];
    for (let seed = 0; seed < 4000; seed++) {
      const bytes = createHash('sha256').update(String(seed)).digest();
      for (const encoding of ['base64', 'base64url'] as const) {
        const secret = bytes.toString(encoding);
        for (const text of [secret, `base64:${secret}`, `secret=${secret}`, ` ${secret}\n`])
          if (!looksLikeSecret(text)) missed.push(text);
      }
    }
    expect(missed).toEqual([]);
  });
});
