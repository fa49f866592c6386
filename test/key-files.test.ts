/** Owns the proof that the content of a key file becomes the keys that the configuration describes, or a reason why not. */
import { type KeyObject, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parsePem } from '../src/approov/public-key.ts';
import { Secret } from '../src/approov/secret.ts';
import { describeKey, KeyError, keyOfSecret, parseDecryptionKey, parseKeys } from '../src/key-files.ts';
import { generateKeyPair } from './support/key-pair.ts';
import { OTHER_SECRET, SECRET } from './support/token.ts';

type Source = Parameters<typeof parseKeys>[0];

const ec = generateKeyPair('ec', { namedCurve: 'P-256' });
const weakRsa = generateKeyPair('rsa', { modulusLength: 1024 });
const pem = (key: KeyObject) =>
  key.export({ type: key.type === 'public' ? 'spki' : 'pkcs8', format: 'pem' }).toString();
const jwk = (key: KeyObject, fields: object = {}) => ({ ...key.export({ format: 'jwk' }), ...fields });
const jwks = (...keys: readonly object[]) => JSON.stringify({ keys });

function source(fields: Partial<Source> = {}): Source {
  return {
    id: 'current',
    source: 'secret',
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
    const keys = parseKeys(source(), ` ${SECRET}\n`);
    expect(keys).toMatchObject([
      { id: 'current', kid: undefined, algorithms: ['HS256'], fingerprint: Secret.parse(SECRET).fingerprint },
    ]);
    expect(keys[0]?.verify('HS256', 'a.b', Secret.parse(SECRET).sign('HS256', 'a.b'))).toBe(true);
    expect(keys[0]?.verify('HS256', 'a.b', Secret.parse(OTHER_SECRET).sign('HS256', 'a.b'))).toBe(false);
  });

  it('has the kid and the algorithms that the configuration says', () => {
    const described = source({ kid: 'j3AWy6', algorithms: ['HS384', 'HS512'] });
    expect(parseKeys(described, SECRET)).toMatchObject([{ kid: 'j3AWy6', algorithms: ['HS384', 'HS512'] }]);
  });

  it('from the environment is the same key', () => {
    const key = keyOfSecret(source({ id: 'env' }), Secret.parse(SECRET));
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
      expected: 'the secret decodes to 31 bytes; at least 32 are needed',
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
        'the secret (93 characters) is neither base64 nor base64url; it has white space inside: give the secret alone, on one line',
    },
  ])('is not $name', ({ text, expected }) => {
    expect(messageOf(() => parseKeys(source(), text))).toBe(expected);
  });
});

describe('a PEM file', () => {
  it('becomes one key that verifies', () => {
    const [key] = parseKeys(source({ source: 'pem', kid: 'k', algorithms: ['ES256'] }), pem(ec.publicKey));
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
      expected: 'holds a private key: give the public one, and keep the private one elsewhere',
    },
    { name: 'a secret', text: SECRET, expected: 'no public key in PEM' },
    {
      name: 'a key that is too weak',
      text: pem(weakRsa.publicKey),
      expected: 'an RSA key of 1024 bits; at least 2048 are needed',
    },
  ])('is not $name', ({ text, expected }) => {
    const described = source({ source: 'pem', algorithms: ['ES256'] });
    expect(messageOf(() => parseKeys(described, text))).toBe(expected);
  });
});

describe('a JWK Set', () => {
  const other = generateKeyPair('ed25519').publicKey;

  it('becomes its keys, each with its own kid and under the one id', () => {
    const text = jwks(jwk(ec.publicKey, { kid: 'a' }), jwk(other, { kid: 'b' }));
    expect(parseKeys(source({ source: 'jwks' }), text)).toMatchObject([
      { id: 'current', kid: 'a', algorithms: ['ES256'] },
      { id: 'current', kid: 'b', algorithms: ['EdDSA'] },
    ]);
  });

  it('gives only keys for the algorithms that the configuration allows', () => {
    const text = jwks(jwk(ec.publicKey, { kid: 'a' }), jwk(other, { kid: 'b' }));
    expect(parseKeys(source({ source: 'jwks', algorithms: ['EdDSA'] }), text)).toMatchObject([{ kid: 'b' }]);
  });

  it.each([
    { name: 'no JSON', text: '{', expected: 'is not JSON' },
    { name: 'a list', text: '[]', expected: 'is no JWK Set: an object with a list of keys' },
    { name: 'empty', text: jwks(), expected: 'holds no key that may verify a token' },
    {
      name: 'a secret',
      text: jwks({ kty: 'oct', k: SECRET }),
      expected: 'keys[0] is symmetric: secrets belong in a secretFile',
    },
    {
      name: 'private',
      text: jwks(jwk(ec.publicKey), jwk(ec.privateKey)),
      expected: 'keys[1] is private: a JWK Set holds public keys',
    },
    {
      name: 'too weak',
      text: jwks(jwk(weakRsa.publicKey)),
      expected: 'an RSA key of 1024 bits; at least 2048 are needed',
    },
  ])('is not $name', ({ text, expected }) => {
    expect(messageOf(() => parseKeys(source({ source: 'jwks' }), text))).toBe(expected);
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
  ])('$hosts for $host: $isUsed', ({ hosts, host, isUsed }) => {
    expect(describeKey({ id: 'a', hosts }).isForHost?.(host) ?? true).toBe(isUsed);
    const [key] = parseKeys(source({ hosts }), SECRET);
    expect(key?.isForHost?.(host) ?? true).toBe(isUsed);
  });
});

describe('a decryption key', () => {
  const described = { id: 'open', algorithms: undefined, encryptions: ['A256GCM'], isNested: true } as const;

  it('of a secret knows the algorithms that work with one, save those by password', () => {
    const key = parseDecryptionKey({ ...described, source: 'secret' }, SECRET);
    expect(key).toMatchObject({ id: 'open', encryptions: ['A256GCM'], isNested: true });
    expect(key.algorithms).toEqual([
      'dir',
      'A128KW',
      'A192KW',
      'A256KW',
      'A128GCMKW',
      'A192GCMKW',
      'A256GCMKW',
    ]);
  });

  it('of a private key knows the algorithms of its kind', () => {
    const { algorithms } = parseDecryptionKey({ ...described, source: 'private' }, pem(ec.privateKey));
    expect(algorithms).toEqual(['ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A192KW', 'ECDH-ES+A256KW']);
  });

  it('is told by a fingerprint: of the secret, or the thumbprint of its public key', () => {
    const ofSecret = parseDecryptionKey({ ...described, source: 'secret' }, SECRET);
    expect(ofSecret.fingerprint).toBe(Secret.parse(SECRET).fingerprint);
    const ofPrivate = parseDecryptionKey({ ...described, source: 'private' }, pem(ec.privateKey));
    expect(ofPrivate.fingerprint).toBe(parsePem(pem(ec.publicKey), ['ES256']).fingerprint);
  });

  it('is refused with an algorithm that does not work with it', () => {
    const parse = () =>
      parseDecryptionKey({ ...described, source: 'secret', algorithms: ['dir', 'RSA-OAEP'] }, SECRET);
    expect(messageOf(parse)).toBe('RSA-OAEP does not work with a key of type secret');
  });

  it('has the algorithms that the configuration says', () => {
    const key = parseDecryptionKey({ ...described, source: 'secret', algorithms: ['A256KW'] }, SECRET);
    expect(key.algorithms).toEqual(['A256KW']);
  });

  it.each([
    {
      source: 'secret',
      name: 'a short secret',
      text: 'QQ==',
      expected: 'the secret decodes to 1 bytes; at least 32 are needed',
    },
    { source: 'private', name: 'a public key', text: pem(ec.publicKey), expected: 'no private key in PEM' },
    {
      source: 'private',
      name: 'a key that signs',
      text: pem(generateKeyPair('ed25519').privateKey),
      expected: 'a key of type ed25519 opens no token',
    },
    {
      source: 'private',
      name: 'a key on a curve that tokens do not use',
      text: pem(generateKeyPair('ec', { namedCurve: 'secp256k1' }).privateKey),
      expected: 'a key of type secp256k1 opens no token',
    },
    {
      source: 'private',
      name: 'a weak key',
      text: pem(weakRsa.privateKey),
      expected: 'an RSA key of 1024 bits; at least 2048 are needed',
    },
  ] as const)('is not $name', ({ source: kind, text, expected }) => {
    expect(messageOf(() => parseDecryptionKey({ ...described, source: kind }, text))).toBe(expected);
  });
});

describe('what is wrong with a key', () => {
  it('never quotes it', () => {
    const wrong = [
      () => parseKeys(source(), `${SECRET} x`),
      () => parseKeys(source({ source: 'pem', algorithms: ['ES256'] }), pem(ec.privateKey)),
      () => parseKeys(source({ source: 'jwks' }), jwks({ kty: 'oct', k: SECRET })),
      () => parseKeys(source({ source: 'jwks' }), SECRET),
      () =>
        parseDecryptionKey(
          { id: 'a', source: 'private', algorithms: undefined, encryptions: [], isNested: true },
          SECRET,
        ),
    ];
    const told = wrong.map(messageOf).join('\n');
    const body = pem(ec.privateKey).split('\n')[1] ?? '';
    for (const text of [SECRET, body])
      for (let at = 0; at + 8 <= text.length; at += 4) expect(told).not.toContain(text.slice(at, at + 8));
  });

  it('is none of ours to hide where it is a bug', () => {
    expect(() => parseKeys(source(), undefined as unknown as string)).toThrow(TypeError);
  });
});
