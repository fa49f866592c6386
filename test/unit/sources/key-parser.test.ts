/** Tests that the content of a key file becomes the keys that the configuration describes, or a reason why not. */
import { type KeyObject, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  CONTENT_ENCRYPTION_ALGORITHMS,
  type ContentEncryptionAlgorithm,
  type KeyManagementAlgorithm,
} from '../../../src/approov/decryption-algorithm.ts';
import { KeyError } from '../../../src/approov/key-error.ts';
import { parsePem } from '../../../src/approov/public-key.ts';
import { Secret } from '../../../src/approov/secret.ts';
import {
  describeKey,
  keysOfSecret,
  parseCredential,
  parseDecryptionKey,
  parseKeys,
  parseMessageSigningKey,
} from '../../../src/sources/key-parser.ts';
import { generateKeyPair } from '../../support/key-pair.ts';
import { OTHER_SECRET, SECRET } from '../../support/token.ts';

type DescribedKey = Parameters<typeof parseKeys>[0];

const ec = generateKeyPair('ec', { namedCurve: 'P-256' });
const weakRsa = generateKeyPair('rsa', { modulusLength: 1024 });
const pem = (key: KeyObject) =>
  key.export({ type: key.type === 'public' ? 'spki' : 'pkcs8', format: 'pem' }).toString();
const jwk = (key: KeyObject, fields: object = {}) => ({ ...key.export({ format: 'jwk' }), ...fields });
const jwks = (...keys: readonly object[]) => JSON.stringify({ keys });

function keyConfig(fields: Partial<DescribedKey> = {}): DescribedKey {
  return {
    id: 'current',
    format: 'secret',
    location: { file: '/a' },
    kid: undefined,
    algorithms: undefined,
    hosts: undefined,
    ...fields,
  };
}

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(KeyError);
    return (error as KeyError).message;
  }
  return 'no problem';
}

describe('a secret', () => {
  it('becomes one key for HS256, by id', () => {
    const { keys } = parseKeys(keyConfig(), ` ${SECRET}\n`);
    expect(keys).toMatchObject([
      { id: 'current', kid: undefined, algorithms: ['HS256'], fingerprint: Secret.parse(SECRET).fingerprint },
    ]);
    expect(keys[0]?.verify('HS256', 'a.b', Secret.parse(SECRET).sign('HS256', 'a.b'))).toBe(true);
    expect(keys[0]?.verify('HS256', 'a.b', Secret.parse(OTHER_SECRET).sign('HS256', 'a.b'))).toBe(false);
  });

  it('has the configured kid and algorithms', () => {
    const described = keyConfig({ kid: 'j3AWy6', algorithms: ['HS384', 'HS512'] });
    expect(parseKeys(described, SECRET).keys).toMatchObject([
      { kid: 'j3AWy6', algorithms: ['HS384', 'HS512'] },
    ]);
  });

  it('from the environment is the same key', () => {
    const [key] = keysOfSecret(keyConfig({ id: 'env' }), Secret.parse(SECRET)).keys;
    expect(key).toMatchObject({
      id: 'env',
      algorithms: ['HS256'],
      fingerprint: Secret.parse(SECRET).fingerprint,
    });
  });

  it.each([
    { name: 'nothing', text: '', expected: 'the secret is empty' },
    { name: 'white space', text: ' \n', expected: 'the secret is empty' },
    {
      name: '31 bytes',
      text: Buffer.alloc(31, 1).toString('base64'),
      expected: 'the secret decodes to 31 bytes; at least 32 are needed for HS256',
    },
    {
      name: 'another character',
      text: `${SECRET}!`,
      expected: 'the secret (89 characters) is neither base64 nor base64url',
    },
    {
      name: 'a note before the secret',
      text: `note\n${SECRET}`,
      expected:
        'the secret (93 characters) is neither base64 nor base64url; line 2 alone is a secret: remove the other lines',
    },
  ])('must not be $name', ({ text, expected }) => {
    expect(messageOf(() => parseKeys(keyConfig(), text))).toBe(expected);
  });
});

describe('a PEM file', () => {
  it('becomes one key that verifies', () => {
    const [key] = parseKeys(
      keyConfig({ format: 'pem', kid: 'k', algorithms: ['ES256'] }),
      pem(ec.publicKey),
    ).keys;
    const signature = sign('sha256', Buffer.from('a.b'), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' });
    expect(key).toMatchObject({ id: 'current', kid: 'k', algorithms: ['ES256'] });
    expect(key?.verify('ES256', 'a.b', signature)).toBe(true);
    expect(key?.verify('ES256', 'a.c', signature)).toBe(false);
    expect(key?.secret).toBeUndefined();
  });

  it.each([
    {
      name: 'a private key',
      text: pem(ec.privateKey),
      expected: 'contains a private key: give the public one, and keep the private one elsewhere',
    },
    { name: 'a secret', text: SECRET, expected: 'no public key in PEM' },
    {
      name: 'a key that is too weak',
      text: pem(weakRsa.publicKey),
      expected: 'an RSA key of 1024 bits; at least 2048 are needed',
    },
  ])('must not be $name', ({ text, expected }) => {
    const described = keyConfig({ format: 'pem', algorithms: ['ES256'] });
    expect(messageOf(() => parseKeys(described, text))).toBe(expected);
  });
});

describe('a JWK Set', () => {
  const other = generateKeyPair('ed25519').publicKey;

  it('becomes its keys, each with its own kid, all with one id', () => {
    const text = jwks(jwk(ec.publicKey, { kid: 'a' }), jwk(other, { kid: 'b' }));
    expect(parseKeys(keyConfig({ format: 'jwks' }), text).keys).toMatchObject([
      { id: 'current', kid: 'a', algorithms: ['ES256'] },
      { id: 'current', kid: 'b', algorithms: ['EdDSA'] },
    ]);
  });

  it('yields only keys for the configured algorithms', () => {
    const text = jwks(jwk(ec.publicKey, { kid: 'a' }), jwk(other, { kid: 'b' }));
    expect(parseKeys(keyConfig({ format: 'jwks', algorithms: ['EdDSA'] }), text)).toMatchObject({
      keys: [{ kid: 'b' }],
      warnings: ['keys[0] (kid "a") fits none of the configured algorithms; it is skipped'],
    });
  });

  it('from a URL yields its valid keys, though it has some that must not be published', () => {
    const text = jwks(
      jwk(ec.publicKey, { kid: 'a' }),
      jwk(weakRsa.publicKey),
      { kty: 'oct', k: SECRET },
      jwk(ec.privateKey),
    );
    expect(
      parseKeys(keyConfig({ format: 'jwks', location: { url: 'https://a.test/', caFile: undefined } }), text),
    ).toMatchObject({
      keys: [{ kid: 'a' }],
      warnings: [
        'keys[1] is an RSA key of 1024 bits; at least 2048 are needed; it is skipped',
        'keys[2] is symmetric: secrets belong in a secretFile; it is skipped',
        'keys[3] is private: a JWK Set contains only public keys; it is skipped',
      ],
    });
  });

  it.each([
    {
      name: 'no JSON',
      text: '{',
      expected: 'is not JSON: a name in double quotes or "}" is missing here',
    },
    { name: 'a list', text: '[]', expected: 'is not a JWK Set, such as {"keys": […]}' },
    { name: 'empty', text: jwks(), expected: 'contains no key that may verify a token' },
    {
      name: 'a secret',
      text: jwks({ kty: 'oct', k: SECRET }),
      expected: 'keys[0] is symmetric: secrets belong in a secretFile',
    },
    {
      name: 'private',
      text: jwks(jwk(ec.publicKey), jwk(ec.privateKey)),
      expected: 'keys[1] is private: a JWK Set contains only public keys',
    },
    {
      name: 'too weak',
      text: jwks(jwk(weakRsa.publicKey)),
      expected: 'keys[0] is an RSA key of 1024 bits; at least 2048 are needed',
    },
  ])('must not be $name', ({ text, expected }) => {
    expect(messageOf(() => parseKeys(keyConfig({ format: 'jwks' }), text))).toBe(expected);
  });
});

describe('the hosts of a key', () => {
  it.each([
    { hosts: undefined, host: 'any.test', isUsed: true },
    { hosts: ['api.example.com'], host: 'api.example.com', isUsed: true },
    { hosts: ['API.example.com.:443'], host: 'api.example.com', isUsed: true },
    { hosts: ['*.example.com'], host: 'a.b.example.com', isUsed: true },
    { hosts: ['*.example.com'], host: 'example.com', isUsed: false },
    { hosts: ['a.test', 'b.test'], host: 'b.test', isUsed: true },
    { hosts: ['a.test', 'b.test'], host: 'c.test', isUsed: false },
    { hosts: ['a.test'], host: '', isUsed: false },
    { hosts: ['key.test'], host: '\u212aey.test', isUsed: false },
    { hosts: ['*.test'], host: 'u@a.test', isUsed: false },
  ])('being $hosts, the key is used for "$host": $isUsed', ({ hosts, host, isUsed }) => {
    expect(describeKey({ id: 'a', hosts }).isForHost?.(host) ?? true).toBe(isUsed);
    const [key] = parseKeys(keyConfig({ hosts }), SECRET).keys;
    expect(key?.isForHost?.(host) ?? true).toBe(isUsed);
  });
});

describe('a decryption key', () => {
  const described = {
    id: 'open',
    kid: undefined,
    keyManagementAlgorithms: undefined,
    contentEncryptionAlgorithms: undefined,
    isNested: true,
  } as const;
  const secretOf = (bytes: number): string => Buffer.alloc(bytes, 7).toString('base64');
  const KEY_32 = secretOf(32);

  it.each([
    { bytes: 16, algorithms: ['dir', 'A128KW', 'A128GCMKW'], dir: ['A128GCM'] },
    { bytes: 24, algorithms: ['dir', 'A192KW', 'A192GCMKW'], dir: ['A192GCM'] },
    { bytes: 32, algorithms: ['dir', 'A256KW', 'A256GCMKW'], dir: ['A256GCM', 'A128CBC-HS256'] },
    { bytes: 48, algorithms: ['dir'], dir: ['A192CBC-HS384'] },
    { bytes: 64, algorithms: ['dir'], dir: ['A256CBC-HS512'] },
  ] as const)(
    'from a secret of $bytes bytes has the algorithms that need exactly that length',
    ({ bytes, algorithms, dir }) => {
      const key = parseDecryptionKey({ ...described, format: 'secret' }, secretOf(bytes));
      expect(key).toMatchObject({ id: 'open', kid: undefined, isNested: true });
      expect(key.keyManagementAlgorithms).toEqual(algorithms);
      expect(key.contentEncryptionAlgorithms).toEqual(
        algorithms.length === 1 ? dir : CONTENT_ENCRYPTION_ALGORITHMS,
      );
      expect(
        parseDecryptionKey(
          { ...described, format: 'secret', keyManagementAlgorithms: ['dir'] },
          secretOf(bytes),
        ).contentEncryptionAlgorithms,
      ).toEqual(dir);
    },
  );

  it.each<{
    algorithms?: readonly KeyManagementAlgorithm[];
    contentEncryptionAlgorithms?: readonly ContentEncryptionAlgorithm[];
    bytes: number;
    expected: string;
  }>([
    { bytes: 31, expected: 'decryption needs exactly 16 or 24 or 32 or 48 or 64' },
    { algorithms: ['dir'], bytes: 33, expected: 'decryption needs exactly 16 or 24 or 32 or 48 or 64' },
    {
      contentEncryptionAlgorithms: ['A256GCM'],
      bytes: 64,
      expected: 'decryption needs exactly 16 or 24 or 32',
    },
    { algorithms: ['A128KW'], bytes: 32, expected: 'A128KW needs exactly 16' },
    { algorithms: ['A192GCMKW'], bytes: 32, expected: 'A192GCMKW needs exactly 24' },
    { algorithms: ['A256KW', 'dir'], bytes: 64, expected: 'A256KW needs exactly 32' },
    { algorithms: ['PBES2-HS256+A128KW', 'A256KW'], bytes: 10, expected: 'A256KW needs exactly 32' },
    {
      algorithms: ['dir'],
      contentEncryptionAlgorithms: ['A256CBC-HS512'],
      bytes: 32,
      expected: 'dir with A256CBC-HS512 needs exactly 64',
    },
  ])(
    'for $algorithms and $contentEncryptionAlgorithms must not be a secret of $bytes bytes',
    ({ algorithms, contentEncryptionAlgorithms, bytes, expected }) => {
      const parse = () =>
        parseDecryptionKey(
          {
            ...described,
            format: 'secret',
            keyManagementAlgorithms: algorithms,
            contentEncryptionAlgorithms,
          },
          secretOf(bytes),
        );
      expect(messageOf(parse)).toBe(`the secret decodes to ${bytes} bytes; ${expected}`);
    },
  );

  it('that is a password may have any length', () => {
    for (const bytes of [1, 16, 33, 64]) {
      const key = parseDecryptionKey(
        { ...described, format: 'secret', keyManagementAlgorithms: ['PBES2-HS256+A128KW'] },
        secretOf(bytes),
      );
      expect(key.keyManagementAlgorithms).toEqual(['PBES2-HS256+A128KW']);
    }
  });

  it('that is a private key has the algorithms of its type', () => {
    const { keyManagementAlgorithms: algorithms } = parseDecryptionKey(
      { ...described, format: 'private' },
      pem(ec.privateKey),
    );
    expect(algorithms).toEqual(['ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A192KW', 'ECDH-ES+A256KW']);
  });

  it('has the fingerprint of the secret, or the thumbprint of its public key', () => {
    const ofSecret = parseDecryptionKey({ ...described, format: 'secret' }, KEY_32);
    expect(ofSecret.fingerprint).toBe(Secret.parse(KEY_32).fingerprint);
    const ofPrivate = parseDecryptionKey({ ...described, format: 'private' }, pem(ec.privateKey));
    expect(ofPrivate.fingerprint).toBe(parsePem(pem(ec.publicKey), ['ES256']).fingerprint);
  });

  it('must work with its algorithms', () => {
    const parse = () =>
      parseDecryptionKey(
        { ...described, format: 'secret', keyManagementAlgorithms: ['dir', 'RSA-OAEP'] },
        KEY_32,
      );
    expect(messageOf(parse)).toBe('RSA-OAEP does not work with a key of type secret');
  });

  it('has the configured algorithms', () => {
    const key = parseDecryptionKey(
      { ...described, format: 'secret', keyManagementAlgorithms: ['A256KW'] },
      KEY_32,
    );
    expect(key.keyManagementAlgorithms).toEqual(['A256KW']);
  });

  it.each([
    {
      format: 'secret',
      name: 'a short secret',
      text: 'QQ==',
      expected: 'the secret decodes to 1 bytes; decryption needs exactly 16 or 24 or 32 or 48 or 64',
    },
    { format: 'private', name: 'a public key', text: pem(ec.publicKey), expected: 'no private key in PEM' },
    {
      format: 'private',
      name: 'a key that signs',
      text: pem(generateKeyPair('ed25519').privateKey),
      expected: 'a key of type ed25519 opens no token',
    },
    {
      format: 'private',
      name: 'a key on a curve that tokens do not use',
      text: pem(generateKeyPair('ec', { namedCurve: 'secp256k1' }).privateKey),
      expected: 'a key of type secp256k1 opens no token',
    },
    {
      format: 'private',
      name: 'a weak key',
      text: pem(weakRsa.privateKey),
      expected: 'an RSA key of 1024 bits; at least 2048 are needed',
    },
  ] as const)('must not be $name', ({ format, text, expected }) => {
    expect(messageOf(() => parseDecryptionKey({ ...described, format }, text))).toBe(expected);
  });
});

describe('the message of a KeyError', () => {
  it('never quotes the key', () => {
    const wrong = [
      () => parseKeys(keyConfig(), `${SECRET} x`),
      () => parseKeys(keyConfig({ format: 'pem', algorithms: ['ES256'] }), pem(ec.privateKey)),
      () => parseKeys(keyConfig({ format: 'jwks' }), jwks({ kty: 'oct', k: SECRET })),
      () => parseKeys(keyConfig({ format: 'jwks' }), SECRET),
      () =>
        parseDecryptionKey(
          {
            id: 'a',
            kid: undefined,
            format: 'private',
            keyManagementAlgorithms: undefined,
            contentEncryptionAlgorithms: [],
            isNested: true,
          },
          SECRET,
        ),
    ];
    const messages = wrong.map(messageOf).join('\n');
    const body = pem(ec.privateKey).split('\n')[1] ?? '';
    for (const text of [SECRET, body])
      for (let at = 0; at + 8 <= text.length; at += 4) expect(messages).not.toContain(text.slice(at, at + 8));
  });

  it('does not hide a bug', () => {
    expect(() => parseKeys(keyConfig(), undefined as unknown as string)).toThrow(TypeError);
  });
});

describe('a message signing key', () => {
  const config = { id: 'account', mskid: 'j3AWy6' };
  const fingerprintOf = (text: string): string => Secret.parse(text).fingerprint;

  it.each([SECRET, Buffer.from(SECRET, 'base64').toString('base64url')])('is read from %s', (text) => {
    const key = parseMessageSigningKey(config, `${text}\n`);
    expect(key).toMatchObject({ ...config, fingerprint: fingerprintOf(SECRET), warning: undefined });
    expect(key.secret.verify('HS256', 'base', Secret.parse(SECRET).sign('HS256', 'base'))).toBe(true);
  });

  it('stays the same object while its file means the same', () => {
    const key = parseMessageSigningKey(config, SECRET);
    expect(parseMessageSigningKey(config, ` ${SECRET}\n`, key)).toBe(key);
    expect(parseMessageSigningKey(config, OTHER_SECRET, key)).toMatchObject({
      fingerprint: fingerprintOf(OTHER_SECRET),
    });
  });

  it.each([
    ['', 'the secret is empty'],
    ['c2hvcnQ=', 'the secret decodes to 5 bytes; at least 32 are needed for HS256'],
    [
      `Account message signing key\nWarning: keep it secret\nKey ID: j3AWy6\nbase64url\n${SECRET}\n`,
      'the secret (165 characters) is neither base64 nor base64url; line 5 alone is a secret: remove the banner that the Approov CLI printed around it',
    ],
  ])('in %j is refused', (text, expected) => {
    expect(messageOf(() => parseMessageSigningKey(config, text))).toBe(expected);
  });
});

describe('a user name or password', () => {
  it.each([
    ['secret\n', 'secret'],
    ['secret\r\n', 'secret'],
    [' secret ', ' secret '],
  ])('in %j is %j', (text, expected) => {
    expect(parseCredential(text)).toBe(expected);
  });

  it.each([
    ['', 'the file is empty'],
    ['\n', 'the file is empty'],
    ['a\nb\n', 'the file has more than one line'],
  ])('in %j is refused', (text, expected) => {
    expect(messageOf(() => parseCredential(text))).toBe(expected);
  });
});
