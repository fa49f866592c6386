/** Tests public keys with jose as an oracle. */
import { constants, type KeyObject, sign } from 'node:crypto';
import fc from 'fast-check';
import {
  CompactSign,
  calculateJwkThumbprint,
  compactVerify,
  exportJWK,
  exportSPKI,
  importJWK,
  type JWK,
} from 'jose';
import { describe, expect, it } from 'vitest';
import type { Algorithm } from '../../../src/approov/algorithm.ts';
import { createAsymmetricKey, type Keyset, type VerificationKey } from '../../../src/approov/keyset.ts';
import { type PublicKey, parseJwks, parsePem } from '../../../src/approov/public-key.ts';
import { keysetOf, symmetricKey, verify } from '../../support/check.ts';
import { generateKeyPair } from '../../support/key-pair.ts';
import { base64url, mintToken } from '../../support/token.ts';

const KINDS = {
  rsa: {
    pair: generateKeyPair('rsa', { modulusLength: 2048 }),
    algorithms: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  },
  'P-256': { pair: generateKeyPair('ec', { namedCurve: 'P-256' }), algorithms: ['ES256'] },
  'P-384': { pair: generateKeyPair('ec', { namedCurve: 'P-384' }), algorithms: ['ES384'] },
  'P-521': { pair: generateKeyPair('ec', { namedCurve: 'P-521' }), algorithms: ['ES512'] },
  Ed25519: { pair: generateKeyPair('ed25519'), algorithms: ['EdDSA'] },
} as const satisfies Record<string, { pair: Pair; algorithms: readonly Algorithm[] }>;
type Kind = keyof typeof KINDS;
type Pair = { publicKey: KeyObject; privateKey: KeyObject };

const CLAIMS = { exp: 4_000_000_000, did: 'D' };
const ASYMMETRIC = Object.entries(KINDS).flatMap(([kind, { algorithms }]) =>
  algorithms.map((algorithm) => ({ kind: kind as Kind, algorithm: algorithm as Algorithm })),
);

function signByJose(kind: Kind, alg: Algorithm, header: object = {}): Promise<string> {
  return new CompactSign(Buffer.from(JSON.stringify(CLAIMS)))
    .setProtectedHeader({ alg, ...header })
    .sign(KINDS[kind].pair.privateKey);
}

function pemOf(kind: Kind): string {
  return KINDS[kind].pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
}

function jwkOf(kind: Kind, fields: object = {}): JWK {
  return { ...(KINDS[kind].pair.publicKey.export({ format: 'jwk' }) as JWK), ...fields };
}

function setOf(...jwks: readonly object[]): string {
  return JSON.stringify({ keys: jwks });
}

/** Strict, as for a file. */
function keysIn(set: string, allowed?: readonly Algorithm[]): readonly PublicKey[] {
  return parseJwks(set, { allowed, isStrict: true }).keys;
}

function keyOf(key: PublicKey): VerificationKey {
  return createAsymmetricKey({ id: 'public' }, key);
}

function outcome(token: string, keyset: Keyset): string {
  const result = verify(token, keyset);
  return result.kind === 'rejected' ? result.reason : `verified by ${result.token.keyId}`;
}

function outcomeWithSet(token: string, set: string, allowed?: readonly Algorithm[]): string {
  return outcome(token, keysetOf(...keysIn(set, allowed).map(keyOf)));
}

describe('a token that jose signed', () => {
  it.each(ASYMMETRIC)('by $algorithm verifies with the key as PEM', async ({ kind, algorithm }) => {
    const key = parsePem(await exportSPKI(KINDS[kind].pair.publicKey), [algorithm]);
    expect(outcome(await signByJose(kind, algorithm), keysetOf(keyOf(key)))).toBe('verified by public');
  });

  it.each(ASYMMETRIC)('by $algorithm verifies with the key as JWK', async ({ kind, algorithm }) => {
    const set = setOf(await exportJWK(KINDS[kind].pair.publicKey));
    expect(outcomeWithSet(await signByJose(kind, algorithm), set, [algorithm])).toBe('verified by public');
  });

  it('is verified with the key that its kid selects', async () => {
    const set = setOf(jwkOf('rsa', { kid: 'a' }), jwkOf('P-256', { kid: 'b' }));
    expect(outcomeWithSet(await signByJose('P-256', 'ES256', { kid: 'b' }), set)).toBe('verified by public');
    expect(outcomeWithSet(await signByJose('P-256', 'ES256', { kid: 'a' }), set)).toBe(
      'unsupported_token_algorithm',
    );
    expect(outcomeWithSet(await signByJose('P-256', 'ES256', { kid: 'c' }), set)).toBe('unknown_key_id');
  });

  it('does not verify with another key of the same type', async () => {
    const other = generateKeyPair('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });
    expect(outcomeWithSet(await signByJose('P-256', 'ES256'), setOf(other))).toBe('invalid_token_signature');
  });
});

describe('with jose as oracle', () => {
  /** Whether jose verifies a token by a key that is allowed these algorithms. */
  async function joseVerifies(token: string, kind: Kind, allowed: readonly Algorithm[]): Promise<boolean> {
    const { alg } = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString());
    try {
      await compactVerify(token, await importJWK(jwkOf(kind), alg), { algorithms: [...allowed] });
      return true;
    } catch {
      return false;
    }
  }

  function oursVerifies(token: string, kind: Kind, allowed: readonly Algorithm[]): boolean {
    return outcome(token, keysetOf(keyOf(parsePem(pemOf(kind), allowed)))) === 'verified by public';
  }

  it('every token has the same outcome with every key', async () => {
    let verified = 0;
    for (const signer of ASYMMETRIC) {
      const token = await signByJose(signer.kind, signer.algorithm);
      for (const { kind, algorithm } of ASYMMETRIC) {
        const ours = oursVerifies(token, kind, [algorithm]);
        expect({ signer, kind, algorithm, verified: ours }).toEqual({
          signer,
          kind,
          algorithm,
          verified: await joseVerifies(token, kind, [algorithm]),
        });
        verified += Number(ours);
      }
    }
    expect(verified).toBe(ASYMMETRIC.length);
  });

  it('every altered signature has the same outcome', async () => {
    const tokens = await Promise.all(
      ASYMMETRIC.map(async (each) => ({ ...each, token: await signByJose(each.kind, each.algorithm) })),
    );
    const tampering = fc.record({
      index: fc.nat(tokens.length - 1),
      how: fc.constantFrom('flip', 'cut', 'extend', 'zero', 'keep'),
      at: fc.nat(600),
    });
    await fc.assert(
      fc.asyncProperty(tampering, async ({ index, how, at }) => {
        const { kind, algorithm, token } = tokens[index] as (typeof tokens)[number];
        const [header, payload, signature] = token.split('.');
        const forged = tamper(Buffer.from(signature ?? '', 'base64url'), how, at);
        if (forged.length === 0) return;
        const changed = `${header}.${payload}.${forged.toString('base64url')}`;
        const ours = oursVerifies(changed, kind, [algorithm]);
        expect(ours).toBe(how === 'keep');
        expect(ours).toBe(await joseVerifies(changed, kind, [algorithm]));
      }),
      { numRuns: 200 },
    );
  });

  function tamper(signature: Buffer, how: string, at: number): Buffer {
    const place = at % signature.length;
    if (how === 'cut') return signature.subarray(0, place);
    if (how === 'extend') return Buffer.concat([signature, Buffer.alloc((at % 3) + 1)]);
    if (how === 'zero') return Buffer.alloc(signature.length);
    const copy = Buffer.from(signature);
    if (how === 'flip') copy[place] = (copy[place] ?? 0) ^ 1;
    return copy;
  }
});

describe('an ECDSA signature', () => {
  const signingInput = `${base64url('{"alg":"ES256"}')}.${base64url(JSON.stringify(CLAIMS))}`;
  const signed = (dsaEncoding: 'der' | 'ieee-p1363'): Buffer =>
    sign('sha256', Buffer.from(signingInput), { key: KINDS['P-256'].pair.privateKey, dsaEncoding });
  const outcomeOf = (signature: Buffer): string =>
    outcomeWithSet(`${signingInput}.${signature.toString('base64url')}`, setOf(jwkOf('P-256')));

  it('is r and s, 32 bytes each', () => {
    expect(outcomeOf(signed('ieee-p1363'))).toBe('verified by public');
  });

  it.each([
    ['in DER', signed('der')],
    ['one byte short', signed('ieee-p1363').subarray(0, 63)],
    ['one byte long', Buffer.concat([signed('ieee-p1363'), Buffer.alloc(1)])],
    ['one byte long in front', Buffer.concat([Buffer.alloc(1), signed('ieee-p1363')])],
    ['of the length for P-384', Buffer.concat([signed('ieee-p1363'), Buffer.alloc(32)])],
    ['of one byte', Buffer.alloc(1)],
    ['of zeros (CVE-2022-21449)', Buffer.alloc(64)],
  ])('%s does not verify', (_what, signature) => {
    expect(outcomeOf(signature)).toBe('invalid_token_signature');
  });
});

it('a PSS signature verifies only with a salt as long as its hash (RFC 7518 §3.5)', () => {
  const signingInput = `${base64url('{"alg":"PS256"}')}.${base64url(JSON.stringify(CLAIMS))}`;
  const outcomeWith = (saltLength: number): string => {
    const options = {
      key: KINDS.rsa.pair.privateKey,
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength,
    };
    const signature = sign('sha256', Buffer.from(signingInput), options).toString('base64url');
    return outcomeWithSet(`${signingInput}.${signature}`, setOf(jwkOf('rsa')), ['PS256']);
  };
  expect(outcomeWith(32)).toBe('verified by public');
  for (const saltLength of [0, 20, 31, 33, 64])
    expect(outcomeWith(saltLength)).toBe('invalid_token_signature');
});

describe('the algorithms of a key', () => {
  it.each([
    ['RS256 for RSA', 'rsa', 'RS256'],
    ['ES256 for P-256', 'P-256', 'ES256'],
    ['ES384 for P-384', 'P-384', 'ES384'],
    ['ES512 for P-521', 'P-521', 'ES512'],
    ['EdDSA for Ed25519', 'Ed25519', 'EdDSA'],
  ] as const)('are %s, if neither it nor the configuration says', (_what, kind, expected) => {
    expect(keysIn(setOf(jwkOf(kind)))).toMatchObject([{ algorithms: [expected] }]);
  });

  it.each([
    {
      name: 'its own alg',
      jwk: jwkOf('rsa', { alg: 'PS384' }),
      allowed: undefined,
      expected: [['PS384']],
    },
    {
      name: 'its own alg, though more are allowed',
      jwk: jwkOf('rsa', { alg: 'PS384' }),
      allowed: ['RS256', 'PS384'],
      expected: [['PS384']],
    },
    {
      name: 'all that are allowed and fit, if it has no alg',
      jwk: jwkOf('rsa'),
      allowed: ['ES256', 'PS256', 'RS512'],
      expected: [['PS256', 'RS512']],
    },
  ] as const)('are $name', ({ jwk, allowed, expected }) => {
    expect(keysIn(setOf(jwk), allowed).map(({ algorithms }) => algorithms)).toEqual(expected);
  });

  it.each([
    ['its own alg is not allowed', jwkOf('rsa', { alg: 'RS256' }), ['PS256']],
    ['its own alg is for another type of key', jwkOf('rsa', { alg: 'ES256' }), undefined],
    ['its own alg is for secrets', jwkOf('rsa', { alg: 'HS256' }), undefined],
    ['its own alg is none', jwkOf('rsa', { alg: 'none' }), undefined],
    ['its own alg is for encryption', jwkOf('rsa', { alg: 'RSA-OAEP' }), undefined],
    ['no algorithm that is allowed fits', jwkOf('P-256'), ['RS256', 'ES384']],
    ['it is for encryption', jwkOf('rsa', { use: 'enc' }), undefined],
    ['its type is unknown', { kty: 'AKP', pub: 'AA' }, undefined],
    ['its type is not a string', { kty: { toString: 1 } }, undefined],
    ['its curve cannot sign', generateKeyPair('x25519').publicKey.export({ format: 'jwk' }), undefined],
    [
      'its curve is not supported',
      generateKeyPair('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' }),
      undefined,
    ],
  ] as const)('are none, and the key is passed over, where %s', (_what, jwk, allowed) => {
    const set = setOf(jwk, jwkOf('Ed25519'));
    expect(keysIn(set, allowed && [...allowed, 'EdDSA'])).toMatchObject([{ algorithms: ['EdDSA'] }]);
    expect(() => keysIn(setOf(jwk), allowed)).toThrow('contains no key that may verify a token');
  });

  it('restrict the key: a token with another algorithm is unsupported', async () => {
    const set = setOf(jwkOf('rsa', { alg: 'PS256' }));
    expect(outcomeWithSet(await signByJose('rsa', 'PS256'), set)).toBe('verified by public');
    expect(outcomeWithSet(await signByJose('rsa', 'RS256'), set)).toBe('unsupported_token_algorithm');
    const [key] = keysIn(set);
    const [header, payload, signature] = (await signByJose('rsa', 'RS256')).split('.');
    expect(key?.verify('RS256', `${header}.${payload}`, Buffer.from(signature ?? '', 'base64url'))).toBe(
      false,
    );
  });
});

describe('a member that cannot be used', () => {
  const small = generateKeyPair('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
  const secp256k1 = generateKeyPair('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' });
  const read = (isStrict: boolean, ...jwks: readonly unknown[]) => {
    const { keys, warnings } = parseJwks(setOf(...(jwks as object[])), { allowed: undefined, isStrict });
    return { algorithms: keys.map((key) => key.algorithms), warnings };
  };

  it.each<[what: string, jwk: unknown, warning: string]>([
    ['of an unknown kty', { kty: 'AKP', alg: 'ML-DSA-44', pub: 'AA' }, 'keys[0] has an unsupported kty AKP'],
    ['without a kty', {}, 'keys[0] has an unsupported kty'],
    ['of a kty that every object has', { kty: 'toString' }, 'keys[0] has an unsupported kty toString'],
    ['of a kty that is not a string', { kty: { toString: 1 } }, 'keys[0] has an unsupported kty'],
    [
      'on an unknown curve',
      { kty: 'EC', crv: 'BP-256', x: 'AA', y: 'AA' },
      'keys[0] has an unsupported crv BP-256',
    ],
    ['on a curve of other algorithms', secp256k1, 'keys[0] has an unsupported crv secp256k1'],
    [
      'of a curve that signs nothing',
      { kty: 'OKP', crv: 'X25519', x: 'AA' },
      'keys[0] has an unsupported crv X25519',
    ],
    ['without a curve', jwkOf('P-256', { crv: undefined }), 'keys[0] has an unsupported crv'],
    ['without a coordinate', jwkOf('P-256', { y: undefined }), 'keys[0] is not a valid JWK'],
    ['that is not on its curve', jwkOf('P-256', { x: jwkOf('P-256').y }), 'keys[0] is not a valid JWK'],
    [
      'with an unknown alg',
      jwkOf('rsa', { alg: 'RS1' }),
      'keys[0] has an unsupported alg RS1 for a key of type rsa',
    ],
    [
      'with an alg that is not a string',
      jwkOf('rsa', { alg: ['RS256'] }),
      'keys[0] has an unsupported alg for a key of type rsa',
    ],
    [
      'with the alg of another type',
      jwkOf('rsa', { alg: 'ES256' }),
      'keys[0] has an unsupported alg ES256 for a key of type rsa',
    ],
    ['for encryption', jwkOf('rsa', { use: 'enc' }), 'keys[0] is not for signatures: use enc'],
    [
      'for what is private to its issuer',
      jwkOf('rsa', { use: 'tls' }),
      'keys[0] is not for signatures: use tls',
    ],
    ['whose use is not a string', jwkOf('rsa', { use: null }), 'keys[0] is not for signatures: use'],
    [
      'whose key_ops lack verify',
      jwkOf('rsa', { key_ops: ['encrypt', 'wrapKey'] }),
      'keys[0] is not for verifying: key_ops without "verify"',
    ],
    [
      'whose key_ops are empty',
      jwkOf('rsa', { key_ops: [] }),
      'keys[0] is not for verifying: key_ops without "verify"',
    ],
    [
      'whose key_ops are not a list',
      jwkOf('rsa', { key_ops: 'verify' }),
      'keys[0] is not for verifying: key_ops without "verify"',
    ],
    ['that is null', null, 'keys[0] is not an object'],
    ['that is a string', 'key', 'keys[0] is not an object'],
    ['named by its kid', { kty: 'X', kid: 'a"\n' }, 'keys[0] (kid "a\\"\\n") has an unsupported kty X'],
    [
      'with a long kid',
      { kty: 'X', kid: 'k'.repeat(99) },
      `keys[0] (kid "${'k'.repeat(64)}") has an unsupported kty X`,
    ],
  ])('%s is skipped with a warning, and the others are used', (_what, jwk, warning) => {
    const expected = { algorithms: [['EdDSA']], warnings: [`${warning}; it is skipped`] };
    expect(read(true, jwk, jwkOf('Ed25519'))).toEqual(expected);
    expect(read(false, jwk, jwkOf('Ed25519'))).toEqual(expected);
  });

  it.each<[what: string, jwk: object, problem: string]>([
    ['symmetric', { kty: 'oct', k: 'c2VjcmV0' }, 'keys[1] is symmetric: secrets belong in a secretFile'],
    [
      'symmetric under another kty',
      { kty: 'X', k: 'c2VjcmV0' },
      'keys[1] is symmetric: secrets belong in a secretFile',
    ],
    [
      'private',
      KINDS['P-256'].pair.privateKey.export({ format: 'jwk' }),
      'keys[1] is private: a JWK Set contains only public keys',
    ],
    [
      'private of a type to come',
      { kty: 'AKP', priv: 'AA' },
      'keys[1] is private: a JWK Set contains only public keys',
    ],
    ['private in part', jwkOf('rsa', { p: 'AA' }), 'keys[1] is private: a JWK Set contains only public keys'],
    [
      'weak, though it is for encryption',
      { ...small, use: 'enc' },
      'keys[1] is an RSA key of 1024 bits; at least 2048 are needed',
    ],
    ['weak', small, 'keys[1] is an RSA key of 1024 bits; at least 2048 are needed'],
  ])('that is %s is an error in a file, and skipped from a URL', (_what, jwk, problem) => {
    expect(() => read(true, jwkOf('Ed25519'), jwk)).toThrow(expect.objectContaining({ message: problem }));
    expect(read(false, jwkOf('Ed25519'), jwk)).toEqual({
      algorithms: [['EdDSA']],
      warnings: [`${problem}; it is skipped`],
    });
    expect(() => read(false, jwk)).toThrow('contains no key that may verify a token: keys[0] is ');
  });

  it('is reported without its content', () => {
    const planted = 'cGxhbnRlZC1wbGFudGVkLXBsYW50ZWQtcGxhbnRlZA';
    const { warnings } = read(
      false,
      jwkOf('Ed25519'),
      ...['kty', 'crv', 'alg', 'use', 'k', 'd', 'x', 'n'].map((member) =>
        jwkOf('P-256', { [member]: planted }),
      ),
    );
    expect(warnings).toHaveLength(7);
    expect(warnings.join()).not.toContain('planted');
    expect(warnings.join()).not.toContain(planted.slice(0, 8));
  });
});

describe('the name Ed25519 of RFC 9864', () => {
  const set = setOf(jwkOf('Ed25519', { alg: 'Ed25519', key_ops: ['verify'], use: 'sig' }));

  it('means EdDSA in a JWK and in a token', async () => {
    const token = await new CompactSign(Buffer.from(JSON.stringify(CLAIMS)))
      .setProtectedHeader({ alg: 'Ed25519' })
      .sign(KINDS.Ed25519.pair.privateKey);
    expect(outcomeWithSet(token, set)).toBe('verified by public');
    expect(outcomeWithSet(token, setOf(jwkOf('Ed25519')))).toBe('verified by public');
    expect(outcomeWithSet(await signByJose('Ed25519', 'EdDSA'), set)).toBe('verified by public');
  });

  it('fits no other key', () => {
    expect(() => keysIn(setOf(jwkOf('P-256', { alg: 'Ed25519' })))).toThrow(
      'has an unsupported alg Ed25519 for a key of type ec (prime256v1)',
    );
  });
});

describe('the confusion of a public key with a secret', () => {
  const texts = (Object.keys(KINDS) as Kind[]).flatMap((kind) => [
    { what: `PEM of ${kind}`, kind, text: pemOf(kind) },
    { what: `PEM of ${kind} without its last line feed`, kind, text: pemOf(kind).trimEnd() },
    {
      what: `DER of ${kind}`,
      kind,
      text: KINDS[kind].pair.publicKey.export({ type: 'spki', format: 'der' }),
    },
    { what: `JWK of ${kind}`, kind, text: JSON.stringify(jwkOf(kind)) },
    { what: `JWK Set of ${kind}`, kind, text: setOf(jwkOf(kind)) },
  ]);

  it.each(texts)('fails for HS256 with the $what', ({ kind, text }) => {
    const token = mintToken(CLAIMS, { secret: Buffer.from(text) });
    const fit = KINDS[kind].algorithms;
    for (const key of [parsePem(pemOf(kind), fit), ...keysIn(setOf(jwkOf(kind)), fit)]) {
      expect(outcome(token, keysetOf(keyOf(key)))).toBe('unsupported_token_algorithm');
      expect(outcome(token, keysetOf(keyOf(key), symmetricKey()))).toBe('invalid_token_signature');
      expect(key.verify('HS256', ...resourcesOf(token))).toBe(false);
    }
  });

  it('fails for a token with alg RS256 that a secret signed', () => {
    const token = mintToken(CLAIMS, { header: { alg: 'RS256' } });
    const secret = symmetricKey({ algorithms: ['HS256', 'RS256'] });
    expect(outcome(token, keysetOf(symmetricKey()))).toBe('unsupported_token_algorithm');
    expect(outcome(token, keysetOf(secret))).toBe('invalid_token_signature');
    expect(outcome(token, keysetOf(secret, keyOf(parsePem(pemOf('rsa'), ['RS256']))))).toBe(
      'invalid_token_signature',
    );
  });

  it('fails for a public key with HS256 allowed', () => {
    expect(() => parsePem(pemOf('rsa'), ['HS256'])).toThrow('HS256 does not work with a key of type rsa');
    expect(() => keysIn(setOf(jwkOf('rsa')), ['HS256'])).toThrow('contains no key that may verify a token');
  });

  it('fails for a key embedded in the token, which is ignored', async () => {
    const own = generateKeyPair('ec', { namedCurve: 'P-256' });
    const header = { alg: 'ES256', jwk: own.publicKey.export({ format: 'jwk' }) };
    const signingInput = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(CLAIMS))}`;
    const key = { key: own.privateKey, dsaEncoding: 'ieee-p1363' } as const;
    const token = `${signingInput}.${sign('sha256', Buffer.from(signingInput), key).toString('base64url')}`;
    expect(outcomeWithSet(token, setOf(jwkOf('P-256')))).toBe('invalid_token_signature');
  });

  function resourcesOf(token: string): [signingInput: string, signature: Buffer] {
    const dot = token.lastIndexOf('.');
    return [token.slice(0, dot), Buffer.from(token.slice(dot + 1), 'base64url')];
  }
});

describe('a source is rejected that', () => {
  const small = generateKeyPair('rsa', { modulusLength: 1024 });
  const pem = (key: KeyObject, type: 'pkcs8' | 'pkcs1' | 'sec1' | 'spki', options = {}): string =>
    key.export({ type: type as 'pkcs8', format: 'pem', ...options }).toString();
  const privateKey = KINDS.rsa.pair.privateKey;
  const isPrivate = 'contains a private key: give the public one, and keep the private one elsewhere';

  it.each([
    ['is not PEM', 'x', 'no public key in PEM'],
    ['is empty', '', 'no public key in PEM'],
    ['is truncated', pemOf('rsa').slice(0, 200), 'no public key in PEM'],
    ['contains a private key (PKCS #8)', pem(privateKey, 'pkcs8'), isPrivate],
    ['contains a private key (PKCS #1)', pem(privateKey, 'pkcs1'), isPrivate],
    ['contains a private key (SEC 1)', pem(KINDS['P-256'].pair.privateKey, 'sec1'), isPrivate],
    [
      'contains a private key under a pass phrase',
      pem(privateKey, 'pkcs8', { cipher: 'aes-256-cbc', passphrase: 'x' }),
      isPrivate,
    ],
    ['holds a public key and the private one', pemOf('rsa') + pem(privateKey, 'pkcs8'), isPrivate],
    [
      'holds an RSA key of 1024 bits',
      pem(small.publicKey, 'spki'),
      'an RSA key of 1024 bits; at least 2048 are needed',
    ],
    ['holds a key of another curve', pemOf('P-384'), 'RS256 does not work with a key of type ec (secp384r1)'],
    ['holds a key of another kind', pemOf('Ed25519'), 'RS256 does not work with a key of type ed25519'],
  ])('as PEM %s', (_what, text, expected) => {
    expect(() => parsePem(text, ['RS256'])).toThrow(expect.objectContaining({ message: expected }));
  });

  it.each([
    ['is not JSON', '{', 'is not JSON: a name in double quotes or "}" is missing here'],
    ['is null', 'null', 'is not a JWK Set, such as {"keys": […]}'],
    ['is a JWK', JSON.stringify(jwkOf('rsa')), 'is not a JWK Set, such as {"keys": […]}'],
    [
      'has keys that are not objects',
      '{"keys":[1]}',
      'contains no key that may verify a token: keys[0] is not an object',
    ],
    ['has no keys', '{"keys":[]}', 'contains no key that may verify a token'],
    [
      'holds a secret',
      setOf(jwkOf('rsa'), { kty: 'oct', k: 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA' }),
      'keys[1] is symmetric: secrets belong in a secretFile',
    ],
    [
      'contains a private key',
      setOf(jwkOf('rsa'), KINDS['P-256'].pair.privateKey.export({ format: 'jwk' })),
      'keys[1] is private: a JWK Set contains only public keys',
    ],
    [
      'contains a private key for encryption',
      setOf({ ...privateKey.export({ format: 'jwk' }), use: 'enc' }),
      'keys[0] is private: a JWK Set contains only public keys',
    ],
    [
      'holds an RSA key of 1024 bits',
      setOf(jwkOf('P-256'), small.publicKey.export({ format: 'jwk' })),
      'keys[1] is an RSA key of 1024 bits; at least 2048 are needed',
    ],
    [
      'holds only keys that cannot be used',
      setOf(
        jwkOf('P-256', { x: 'AA' }),
        { kty: 'RSA', n: 'AA', kid: 'half' },
        { kty: 'AKP' },
        jwkOf('rsa', { use: 'enc' }),
        jwkOf('Ed25519', { alg: 'ES256' }),
      ),
      'contains no key that may verify a token: keys[0] is not a valid JWK; keys[1] (kid "half") is not a valid JWK; keys[2] has an unsupported kty AKP; 2 more',
    ],
  ])('as JWK Set %s', (_what, text, expected) => {
    expect(() => keysIn(text)).toThrow(expect.objectContaining({ message: expected }));
  });
});

it.each(Object.keys(KINDS) as Kind[])(
  'the fingerprint of %s begins as its RFC 7638 thumbprint',
  async (kind) => {
    const jwk = jwkOf(kind, { kid: 'x', use: 'sig' });
    const thumbprint = Buffer.from(await calculateJwkThumbprint(jwk, 'sha256'), 'base64url').toString('hex');
    const [fromSet] = keysIn(setOf(jwk));
    expect(fromSet?.fingerprint).toBe(thumbprint.slice(0, 12));
    expect(parsePem(pemOf(kind), []).fingerprint).toBe(thumbprint.slice(0, 12));
  },
);
