/** Tests the decryption of tokens that jose encrypted. */
import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { CompactEncrypt, type CompactJWEHeaderParameters } from 'jose';
import { describe, expect, it } from 'vitest';
import { CompactToken, MAX_TOKEN_BYTES } from '../../../src/approov/compact-token.ts';
import {
  CONTENT_ENCRYPTION_ALGORITHMS,
  type ContentEncryptionAlgorithm,
  KEY_MANAGEMENT_ALGORITHMS,
  type KeyManagementAlgorithm,
} from '../../../src/approov/decryption-algorithm.ts';
import {
  type DecryptionKey,
  type DecryptionResult,
  decryptToken,
  isSameChoice,
  verifyDecrypted,
} from '../../../src/approov/encrypted-token.ts';
import { hasClaims, startAttempts, type TokenResult } from '../../../src/approov/token.ts';
import { KEYSET } from '../../support/check.ts';
import { generateKeyPair } from '../../support/key-pair.ts';
import { base64url, mintToken, OTHER_SECRET_BYTES } from '../../support/token.ts';

interface Pair {
  /** Encrypts. */
  readonly publicKey: KeyObject;
  /** Decrypts. */
  readonly privateKey: KeyObject;
}

const RSA = generateKeyPair('rsa', { modulusLength: 2048 });
const P256 = generateKeyPair('ec', { namedCurve: 'P-256' });
const X25519 = generateKeyPair('x25519');
const CLAIMS = { exp: 4_000_000_000, did: 'D' };
const INNER = mintToken(CLAIMS);

function secretOf(bytes: number): Pair {
  const key = createSecretKey(randomBytes(bytes));
  return { publicKey: key, privateKey: key };
}

const SECRET = secretOf(32);

function keyFor(pair: Pair, fields: Partial<DecryptionKey> = {}): DecryptionKey {
  return {
    id: 'decryptor',
    kid: undefined,
    key: pair.privateKey,
    fingerprint: '0123456789ab',
    keyManagementAlgorithms: KEY_MANAGEMENT_ALGORITHMS,
    contentEncryptionAlgorithms: CONTENT_ENCRYPTION_ALGORITHMS,
    isNested: true,
    ...fields,
  };
}

interface Encrypting {
  readonly pair?: Pair;
  readonly header?: Partial<CompactJWEHeaderParameters>;
  readonly text?: string | Buffer;
  readonly p2c?: number;
}

function encrypt({ pair = SECRET, header = {}, text = INNER, p2c }: Encrypting = {}): Promise<string> {
  const encrypting = new CompactEncrypt(Buffer.from(text)).setProtectedHeader({
    alg: 'dir',
    enc: 'A256GCM',
    ...header,
  });
  if (p2c !== undefined) encrypting.setKeyManagementParameters({ p2c });
  return encrypting.encrypt(pair.publicKey);
}

function verify(token: CompactToken, decryption: DecryptionResult): TokenResult {
  return verifyDecrypted(token, decryption, KEYSET, 'api.example.com', startAttempts());
}

/** Decrypts and verifies: the key and the claims, or the reason. */
async function outcome(text: string, ...keys: readonly DecryptionKey[]): Promise<string> {
  const encrypted = new CompactToken(text);
  const result = verify(encrypted, await decryptToken(encrypted, keys));
  if (result.kind === 'rejected') return result.reason;
  const { token } = result;
  return `${token.keyId}: ${hasClaims(token) ? JSON.stringify(token.claims) : 'no claims'}`;
}

const VERIFIED = `current: ${JSON.stringify(CLAIMS)}`;

describe('a token that jose encrypted is decrypted', () => {
  const symmetric = (
    alg: KeyManagementAlgorithm,
    bytes: number,
    enc: ContentEncryptionAlgorithm = 'A256GCM',
  ) => ({
    alg,
    enc,
    pair: secretOf(bytes),
    kind: `a secret of ${bytes} bytes`,
  });
  it.each([
    symmetric('dir', 16, 'A128GCM'),
    symmetric('dir', 24, 'A192GCM'),
    symmetric('dir', 32, 'A256GCM'),
    symmetric('dir', 32, 'A128CBC-HS256'),
    symmetric('dir', 48, 'A192CBC-HS384'),
    symmetric('dir', 64, 'A256CBC-HS512'),
    symmetric('A128KW', 16),
    symmetric('A192KW', 24),
    symmetric('A256KW', 32),
    symmetric('A256KW', 32, 'A256CBC-HS512'),
    symmetric('A128GCMKW', 16),
    symmetric('A192GCMKW', 24),
    symmetric('A256GCMKW', 32),
    symmetric('PBES2-HS256+A128KW', 32),
    symmetric('PBES2-HS384+A192KW', 32),
    symmetric('PBES2-HS512+A256KW', 32),
    { alg: 'RSA-OAEP', enc: 'A256GCM', pair: RSA, kind: 'an RSA key' },
    { alg: 'RSA-OAEP-256', enc: 'A128CBC-HS256', pair: RSA, kind: 'an RSA key' },
    { alg: 'RSA-OAEP-384', enc: 'A256GCM', pair: RSA, kind: 'an RSA key' },
    { alg: 'RSA-OAEP-512', enc: 'A256GCM', pair: RSA, kind: 'an RSA key' },
    { alg: 'ECDH-ES', enc: 'A256GCM', pair: P256, kind: 'a P-256 key' },
    { alg: 'ECDH-ES', enc: 'A128CBC-HS256', pair: X25519, kind: 'an X25519 key' },
    { alg: 'ECDH-ES+A128KW', enc: 'A128GCM', pair: P256, kind: 'a P-256 key' },
    { alg: 'ECDH-ES+A192KW', enc: 'A256GCM', pair: X25519, kind: 'an X25519 key' },
    { alg: 'ECDH-ES+A256KW', enc: 'A256GCM', pair: P256, kind: 'a P-256 key' },
  ] as const)('by $alg and $enc with $kind', async ({ alg, enc, pair }) => {
    const token = await encrypt({ pair, header: { alg, enc } });
    expect(
      await outcome(
        token,
        keyFor(pair, { keyManagementAlgorithms: [alg], contentEncryptionAlgorithms: [enc] }),
      ),
    ).toBe(VERIFIED);
  });

  it('by the key that fits its alg and enc', async () => {
    expect(await outcome(await encrypt(), keyFor(RSA), keyFor(P256), keyFor(SECRET))).toBe(VERIFIED);
    const others = [
      keyFor(secretOf(64)),
      keyFor(secretOf(16)),
      keyFor(SECRET, { keyManagementAlgorithms: ['A256KW'] }),
    ];
    expect(await outcome(await encrypt(), ...others, keyFor(SECRET))).toBe(VERIFIED);
  });

  it('if it is compressed', async () => {
    const token = await encrypt({ header: { zip: 'DEF' } });
    expect(await outcome(token, keyFor(SECRET))).toBe(VERIFIED);
  });

  it('up to the length limit', async () => {
    const pad = (length: number) => encrypt({ text: mintToken({ ...CLAIMS, pad: 'x'.repeat(length) }) });
    const token = await pad(4000);
    expect(token.length).toBeLessThanOrEqual(MAX_TOKEN_BYTES);
    expect(await outcome(token, keyFor(SECRET))).toContain('current: ');
  });
});

describe('the decryption key of a token', () => {
  const one = secretOf(32);
  const two = secretOf(32);
  const tried = async (header: object, pair: Pair, ...keys: readonly DecryptionKey[]) =>
    outcome(await encrypt({ pair, header }), ...keys);

  it('is the one that declares the kid, else one that declares none', async () => {
    const keys = [keyFor(one, { kid: 'one' }), keyFor(two, { kid: 'two' }), keyFor(SECRET)];
    expect(await tried({ kid: 'one' }, one, ...keys)).toBe(VERIFIED);
    expect(await tried({ kid: 'two' }, two, ...keys)).toBe(VERIFIED);
    expect(await tried({ kid: 'three' }, SECRET, ...keys)).toBe(VERIFIED);
    expect(await tried({}, SECRET, ...keys)).toBe(VERIFIED);
    expect(await tried({ kid: 'two' }, one, ...keys)).toBe('unsupported_token_algorithm');
    expect(await tried({ kid: 'three' }, SECRET, keys[0] as DecryptionKey)).toBe(
      'unsupported_token_algorithm',
    );
  });

  it('is any key if the token has no kid and every key declares one', async () => {
    expect(await tried({}, one, keyFor(one, { kid: 'one' }), keyFor(two, { kid: 'two' }))).toBe(VERIFIED);
  });

  it('is the one on the curve of the ephemeral key', async () => {
    const keys = [keyFor(P256), keyFor(X25519)];
    expect(await tried({ alg: 'ECDH-ES' }, P256, ...keys)).toBe(VERIFIED);
    expect(await tried({ alg: 'ECDH-ES' }, X25519, ...keys)).toBe(VERIFIED);
  });

  it('is the only one tried', async () => {
    expect(await tried({}, two, keyFor(one), keyFor(two))).toBe('unsupported_token_algorithm');
  });

  it.each([
    ['two secrets of a length', keyFor(one), keyFor(two), true],
    [
      'two secrets of different lengths',
      keyFor(one),
      keyFor(secretOf(16), { keyManagementAlgorithms: ['dir', 'A128KW'] }),
      false,
    ],
    ['two with different kids', keyFor(one, { kid: 'one' }), keyFor(two, { kid: 'two' }), false],
    ['two with the same kid', keyFor(one, { kid: 'one' }), keyFor(two, { kid: 'one' }), true],
    ['one with a kid and one without', keyFor(one, { kid: 'one' }), keyFor(two), false],
    [
      'different algorithms',
      keyFor(one, { keyManagementAlgorithms: ['dir'] }),
      keyFor(two, { keyManagementAlgorithms: ['A256KW'] }),
      false,
    ],
    [
      'different contentEncryptionAlgorithms',
      keyFor(one, { contentEncryptionAlgorithms: ['A256GCM'] }),
      keyFor(two, { contentEncryptionAlgorithms: ['A128GCM'] }),
      false,
    ],
    ['a secret and an RSA key', keyFor(one), keyFor(RSA), false],
    ['two RSA keys', keyFor(RSA), keyFor(RSA), true],
    ['keys on different curves', keyFor(P256), keyFor(X25519), false],
  ])('by its kid and algorithms: %s', (_what, first, second, expected) => {
    expect(isSameChoice(first, second)).toBe(expected);
    expect(isSameChoice(second, first)).toBe(expected);
  });
});

it('an encrypted token that was not tried under overload is rejected as internal_error at step key', async () => {
  const token = new CompactToken(await encrypt());
  expect(verify(token, { kind: 'overloaded' })).toMatchObject({
    kind: 'rejected',
    reason: 'internal_error',
    step: 'key',
    facts: { alg: 'dir' },
  });
});

it.each<[what: string, text: string, step: string]>([
  ['text', 'no token', 'signature'],
  ['a token without signature', `${INNER.slice(0, INNER.lastIndexOf('.'))}.`, 'signature'],
  ['an unsupported alg', mintToken(CLAIMS, { header: { alg: 'RS256' } }), 'key'],
  ['a forged token', mintToken(CLAIMS, { secret: OTHER_SECRET_BYTES }), 'signature'],
])('an encrypted token that contains %s is rejected at the step that fails', async (_what, text, step) => {
  const token = new CompactToken(await encrypt({ text }));
  expect(verify(token, await decryptToken(token, [keyFor(SECRET)]))).toMatchObject({
    kind: 'rejected',
    step,
  });
});

describe('the content of an encrypted token', () => {
  const nested = keyFor(SECRET);
  const plain = keyFor(SECRET, { isNested: false });

  it('is verified like any other token', async () => {
    const forged = mintToken(CLAIMS, { secret: OTHER_SECRET_BYTES });
    expect(await outcome(await encrypt({ text: forged }), nested)).toBe('invalid_token_signature');
    const unknown = mintToken(CLAIMS, { header: { alg: 'RS256' } });
    expect(await outcome(await encrypt({ text: unknown }), nested)).toBe('unsupported_token_algorithm');
    const unsigned = `${base64url('{"alg":"none"}')}.${base64url(JSON.stringify(CLAIMS))}.`;
    expect(await outcome(await encrypt({ text: unsigned }), nested)).toBe('unsupported_token_algorithm');
  });

  it.each([
    ['claims', JSON.stringify(CLAIMS)],
    ['empty', ''],
    ['text', 'no token'],
    ['a token followed by a line feed', `${INNER}\n`],
    ['a token after a byte order mark', `\ufeff${INNER}`],
    ['bytes that are not UTF-8', Buffer.from([0xff, 0xfe])],
  ])('is not a token if it is %s', async (_what, text) => {
    expect(await outcome(await encrypt({ text }), nested)).toBe('invalid_token_format');
  });

  it('is not decrypted a second time', async () => {
    const twice = await encrypt({ text: await encrypt() });
    expect(await outcome(twice, nested)).toBe('unsupported_token_algorithm');
  });

  it('is the claims if the key is not nested, verified by the decryption key', async () => {
    const token = await encrypt({ text: JSON.stringify(CLAIMS) });
    expect(await outcome(token, plain)).toBe(`decryptor: ${JSON.stringify(CLAIMS)}`);
  });

  it.each([
    ['a list', '[]'],
    ['a string', '"x"'],
    ['null', 'null'],
    ['not JSON', '{'],
    ['empty', ''],
    ['JSON that is not UTF-8', Buffer.from('{"did":"\xff"}', 'latin1')],
    ['a signed token', INNER],
  ])('is not claims if it is %s', async (_what, text) => {
    expect(await outcome(await encrypt({ text }), plain)).toBe('decryptor: no claims');
  });
});

describe('an encrypted token is rejected as unsupported_token_algorithm', () => {
  const unsupported = 'unsupported_token_algorithm';

  it('without decryption keys', async () => {
    expect(await outcome(await encrypt())).toBe(unsupported);
  });

  it('if encrypted to another key', async () => {
    expect(await outcome(await encrypt(), keyFor(secretOf(32)))).toBe(unsupported);
    const other = generateKeyPair('rsa', { modulusLength: 2048 });
    const token = await encrypt({ pair: RSA, header: { alg: 'RSA-OAEP-256' } });
    expect(await outcome(token, keyFor(other))).toBe(unsupported);
  });

  it('if its alg is not allowed', async () => {
    const token = await encrypt({ header: { alg: 'A256KW' } });
    expect(await outcome(token, keyFor(SECRET, { keyManagementAlgorithms: ['A256KW'] }))).toBe(VERIFIED);
    expect(await outcome(token, keyFor(SECRET, { keyManagementAlgorithms: ['dir', 'A256GCMKW'] }))).toBe(
      unsupported,
    );
  });

  it('if its enc is not allowed', async () => {
    const token = await encrypt({ header: { enc: 'A128CBC-HS256' } });
    expect(await outcome(token, keyFor(SECRET, { contentEncryptionAlgorithms: ['A128CBC-HS256'] }))).toBe(
      VERIFIED,
    );
    expect(
      await outcome(token, keyFor(SECRET, { contentEncryptionAlgorithms: ['A256GCM', 'A256CBC-HS512'] })),
    ).toBe(unsupported);
  });

  it('if its key allows another alg only', async () => {
    const token = await encrypt({ pair: RSA, header: { alg: 'RSA-OAEP' } });
    expect(await outcome(token, keyFor(RSA, { keyManagementAlgorithms: ['RSA-OAEP-256'] }))).toBe(
      unsupported,
    );
  });

  it('if it asks for more than 4,096 rounds of PBES2', async () => {
    const header = { alg: 'PBES2-HS256+A128KW' };
    expect(await outcome(await encrypt({ header, p2c: 4096 }), keyFor(SECRET))).toBe(VERIFIED);
    expect(await outcome(await encrypt({ header, p2c: 4097 }), keyFor(SECRET))).toBe(unsupported);
    const [first, ...rest] = (await encrypt({ header, p2c: 1000 })).split('.');
    const costly = { ...JSON.parse(Buffer.from(first ?? '', 'base64url').toString()), p2c: 2 ** 31 };
    expect(await outcome([base64url(JSON.stringify(costly)), ...rest].join('.'), keyFor(SECRET))).toBe(
      unsupported,
    );
  });

  it('if it inflates to more than 64 KiB', async () => {
    const grown = (bytes: number) =>
      encrypt({
        header: { zip: 'DEF' },
        text: `{"exp":4000000000,"pad":"${'x'.repeat(bytes - 27)}"}`,
      });
    const key = keyFor(SECRET, { isNested: false });
    expect(await outcome(await grown(65_536), key)).toContain('decryptor: ');
    expect(await outcome(await grown(65_537), key)).toBe(unsupported);
    const bomb = await grown(4 * 1024 * 1024);
    expect(bomb.length).toBeLessThan(MAX_TOKEN_BYTES);
    expect(await outcome(bomb, key)).toBe(unsupported);
  });

  it('if it has a critical extension', async () => {
    const token = await new CompactEncrypt(Buffer.from(INNER))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', crit: ['x'], x: 1 })
      .encrypt(SECRET.publicKey, { crit: { x: true } });
    expect(await outcome(token, keyFor(SECRET))).toBe(unsupported);
  });

  it.each([0, 1, 2, 3, 4])('if a bit of part %i is changed', async (part) => {
    const parts = (await encrypt({ header: { alg: 'A256KW' } })).split('.');
    const bytes = Buffer.from(parts[part] ?? '', 'base64url');
    bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 1;
    parts[part] = bytes.toString('base64url');
    expect(await outcome(parts.join('.'), keyFor(SECRET))).not.toContain('current');
  });
});

describe('an encrypted token is malformed', () => {
  it('if it is over 8 KiB, though a key could decrypt it', async () => {
    for (const header of [{ pad: 'x'.repeat(6200) }, { pad: 'x'.repeat(60_000) }]) {
      const token = await encrypt({ header });
      expect(token.length).toBeGreaterThan(MAX_TOKEN_BYTES);
      expect(await outcome(token, keyFor(SECRET))).toBe('invalid_token_format');
    }
  });

  it('if a part is not strict base64url', async () => {
    const token = await encrypt();
    const parts = token.split('.');
    const withPart = (index: number, change: (part: string) => string): string =>
      parts.map((part, at) => (at === index ? change(part) : part)).join('.');
    const malformed = {
      padded: `${token}==`,
      'a space': withPart(3, (part) => `${part.slice(0, 8)} ${part.slice(8)}`),
      'a line feed': withPart(3, (part) => `${part.slice(0, 8)}\n${part.slice(8)}`),
      'spare bits': withPart(4, (part) => part.slice(0, -1) + nextCharacter(part)),
    };
    for (const [what, changed] of Object.entries(malformed)) {
      expect([what, await outcome(changed, keyFor(SECRET))]).toEqual([what, 'invalid_token_format']);
    }
  });

  /** The last character of a tag has four spare bits, which are zero: a lax decoder reads the next one alike. */
  function nextCharacter(part: string): string {
    return String.fromCharCode(part.charCodeAt(part.length - 1) + 1);
  }
});

describe('a token with random content', () => {
  const keys = [keyFor(SECRET), keyFor(RSA), keyFor(P256), keyFor(X25519)];
  const text = fc.oneof(fc.constant(''), fc.base64String({ maxLength: 40 }), fc.string({ maxLength: 12 }));
  const header = fc.record(
    {
      alg: fc.oneof(fc.constantFrom(...KEY_MANAGEMENT_ALGORITHMS), fc.jsonValue()),
      enc: fc.oneof(fc.constantFrom(...CONTENT_ENCRYPTION_ALGORITHMS), fc.jsonValue()),
      epk: fc.oneof(
        fc.record({
          kty: fc.constantFrom('EC', 'OKP', 'oct'),
          crv: fc.constantFrom('P-256', 'X25519', 'P-9'),
        }),
        fc.constant({ kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) }),
        fc.constant({ kty: 'OKP', crv: 'X25519', x: 'A'.repeat(43) }),
        fc.jsonValue(),
      ),
      iv: fc.oneof(text, fc.jsonValue()),
      tag: fc.oneof(text, fc.jsonValue()),
      p2s: fc.oneof(text, fc.jsonValue()),
      p2c: fc.oneof(fc.constantFrom(-1, 0, 1, 1000), fc.jsonValue()),
      apu: fc.jsonValue(),
      zip: fc.constantFrom('DEF', 'X'),
      crit: fc.jsonValue(),
    },
    { requiredKeys: ['alg', 'enc'] },
  );

  it('is not decrypted, and does not throw', async () => {
    const randomTokens = fc
      .tuple(header, text, text, text, text)
      .map(([first, ...rest]) => [base64url(JSON.stringify(first)), ...rest].join('.'));
    await fc.assert(
      fc.asyncProperty(randomTokens, async (token) => {
        expect(await decryptToken(new CompactToken(token), keys)).toEqual({ kind: 'not-decrypted' });
      }),
      { numRuns: 400 },
    );
  });
});
