/** Lists the JWE algorithms (RFC 7518 §4.1 and §5.1) and the keys that fit each. */
import type { KeyObject } from 'node:crypto';

export const KEY_MANAGEMENT_ALGORITHMS = [
  'dir',
  'A128KW',
  'A192KW',
  'A256KW',
  'A128GCMKW',
  'A192GCMKW',
  'A256GCMKW',
  'PBES2-HS256+A128KW',
  'PBES2-HS384+A192KW',
  'PBES2-HS512+A256KW',
  'RSA-OAEP',
  'RSA-OAEP-256',
  'RSA-OAEP-384',
  'RSA-OAEP-512',
  'ECDH-ES',
  'ECDH-ES+A128KW',
  'ECDH-ES+A192KW',
  'ECDH-ES+A256KW',
] as const;
export type KeyManagementAlgorithm = (typeof KEY_MANAGEMENT_ALGORITHMS)[number];

export const CONTENT_ENCRYPTION_ALGORITHMS = [
  'A128GCM',
  'A192GCM',
  'A256GCM',
  'A128CBC-HS256',
  'A192CBC-HS384',
  'A256CBC-HS512',
] as const;
export type ContentEncryptionAlgorithm = (typeof CONTENT_ENCRYPTION_ALGORITHMS)[number];

/** RFC 7518 §5.2 and §5.3. */
const ENCRYPTION_KEY_BYTES: Readonly<Record<ContentEncryptionAlgorithm, number>> = {
  A128GCM: 16,
  A192GCM: 24,
  A256GCM: 32,
  'A128CBC-HS256': 32,
  'A192CBC-HS384': 48,
  'A256CBC-HS512': 64,
};

/** By the curve or type of a key. */
const ALGORITHMS_BY_KEY_TYPE: Readonly<Record<string, RegExp>> = {
  secret: /^(dir|A\d|PBES2)/,
  rsa: /^RSA/,
  prime256v1: /^ECDH/,
  secp384r1: /^ECDH/,
  secp521r1: /^ECDH/,
  x25519: /^ECDH/,
};

export function keyTypeOf(key: KeyObject): string {
  return key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? 'secret';
}

const CURVES: Readonly<Record<string, string>> = {
  prime256v1: 'P-256',
  secp384r1: 'P-384',
  secp521r1: 'P-521',
  x25519: 'X25519',
};

/** The curve that a token's ephemeral key (RFC 7518 §4.6.1.1) must be on; `undefined` for keys without a curve. */
export function curveOf(key: KeyObject): string | undefined {
  return CURVES[keyTypeOf(key)];
}

/** Empty for a type of key that cannot decrypt. */
export function algorithmsFor(keyType: string): readonly KeyManagementAlgorithm[] {
  return KEY_MANAGEMENT_ALGORITHMS.filter((algorithm) => ALGORITHMS_BY_KEY_TYPE[keyType]?.test(algorithm));
}

/** Whether a key fits both algorithms of a token. */
export function isFitFor(
  key: KeyObject,
  algorithm: KeyManagementAlgorithm,
  encryption: ContentEncryptionAlgorithm,
): boolean {
  const bytes = secretBytes(algorithm, encryption);
  return (
    algorithmsFor(keyTypeOf(key)).includes(algorithm) &&
    (bytes ?? key.symmetricKeySize) === key.symmetricKeySize
  );
}

/** The exact length of the secret; `undefined` for a password, which may have any, and for other keys. */
function secretBytes(
  algorithm: KeyManagementAlgorithm,
  encryption: ContentEncryptionAlgorithm,
): number | undefined {
  if (algorithm === 'dir') return ENCRYPTION_KEY_BYTES[encryption];
  const bits = /^A(\d+)/.exec(algorithm)?.[1];
  return bits === undefined ? undefined : Number(bits) / 8;
}

/**
 * The secret lengths that the algorithms need, each with the first that needs it. More than one means that no secret
 * fits all. `dir` without `contentEncryptionAlgorithms` needs none in particular.
 */
export function secretLengths(
  algorithms: readonly KeyManagementAlgorithm[],
  contentEncryptionAlgorithms: readonly ContentEncryptionAlgorithm[] | undefined,
): ReadonlyMap<number, string> {
  const lengths = new Map<number, string>();
  const add = (bytes: number | undefined, name: string): void => {
    if (bytes !== undefined && !lengths.has(bytes)) lengths.set(bytes, name);
  };
  for (const algorithm of algorithms) {
    if (algorithm !== 'dir') add(secretBytes(algorithm, 'A256GCM'), algorithm);
    else
      for (const encryption of contentEncryptionAlgorithms ?? [])
        add(secretBytes('dir', encryption), `dir with ${encryption}`);
  }
  return lengths;
}
