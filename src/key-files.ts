/** Owns what key files hold: secrets, PEM, JWK Sets and private keys become the keys that the configuration describes. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import {
  DECRYPTION_ALGORITHMS,
  type DecryptionAlgorithm,
  type DecryptionKey,
  PrivateKeyError,
  parsePrivateKey,
} from './approov/encrypted-token.ts';
import {
  createAsymmetricKey,
  createSymmetricKey,
  type KeyDescription,
  type VerificationKey,
} from './approov/keyset.ts';
import { PublicKeyError, parseJwks, parsePem, thumbprint } from './approov/public-key.ts';
import { Secret, SecretError } from './approov/secret.ts';
import { matchesHost, normalizeHost, readHost } from './authz/host.ts';
import type { DecryptionKeySource, KeySource } from './config/config.ts';

/** What is wrong with a key's content; holds nothing of it. */
export class KeyError extends Error {
  override readonly name = 'KeyError';
}

/** A key as the configuration describes it, wherever its content comes from. */
type DescribedKey = Omit<KeySource, 'from' | 'path'>;
type DescribedDecryptionKey = Omit<DecryptionKeySource, 'file' | 'path'>;

/** The id and hosts that every key of a source has. */
export function describeKey({ id, hosts }: Pick<KeySource, 'id' | 'hosts'>): KeyDescription {
  const patterns = hosts?.map(normalizeHost);
  if (patterns === undefined) return { id };
  return {
    id,
    isForHost(host) {
      const compared = readHost(host);
      return compared !== undefined && patterns.some((pattern) => matchesHost(pattern, compared));
    },
  };
}

/**
 * The keys that a source's content holds: several for a JWK Set, else one.
 * @throws {KeyError} what is wrong with the content.
 */
export function parseKeys(source: DescribedKey, text: string): readonly VerificationKey[] {
  const description = describeKey(source);
  const { kid, algorithms } = source;
  return withKeyError(() => {
    switch (source.source) {
      case 'secret':
        return [keyOfSecret(source, Secret.parse(text))];
      case 'pem':
        return [createAsymmetricKey(description, parsePem(text, algorithms ?? []), kid)];
      case 'jwks':
        return parseJwks(text, algorithms).map((key) => createAsymmetricKey(description, key));
    }
  });
}

/** The key of a secret that the environment gave. */
export function keyOfSecret(source: DescribedKey, secret: Secret): VerificationKey {
  return createSymmetricKey(describeKey(source), source.kid, source.algorithms ?? ['HS256'], secret);
}

/** @throws {KeyError} what is wrong with the content. */
export function parseDecryptionKey(source: DescribedDecryptionKey, text: string): DecryptionKey {
  const { id, encryptions, isNested } = source;
  return withKeyError(() => {
    const secret = source.source === 'secret' ? Secret.parse(text) : undefined;
    const key = secret?.toKeyObject() ?? parsePrivateKey(text);
    const algorithms = allowedAlgorithms(key, source.algorithms);
    const fingerprint = secret?.fingerprint ?? thumbprint(createPublicKey(key));
    return { id, key, fingerprint, algorithms, encryptions, isNested };
  });
}

/** The algorithms that work with a key, by its curve or type. */
const FITTING: Readonly<Record<string, RegExp>> = {
  secret: /^(dir|A\d|PBES2)/,
  rsa: /^RSA/,
  prime256v1: /^ECDH/,
  secp384r1: /^ECDH/,
  secp521r1: /^ECDH/,
  x25519: /^ECDH/,
};

/** What is named; else every algorithm that works with the key, save those by password, which a key is not. */
function allowedAlgorithms(
  key: KeyObject,
  named: readonly DecryptionAlgorithm[] | undefined,
): readonly DecryptionAlgorithm[] {
  const type = key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? 'secret';
  const fitting = DECRYPTION_ALGORITHMS.filter((algorithm) => FITTING[type]?.test(algorithm));
  if (fitting.length === 0) throw new KeyError(`a key of type ${type} opens no token`);
  const unfit = named?.find((algorithm) => !fitting.includes(algorithm));
  if (unfit !== undefined) throw new KeyError(`${unfit} does not work with a key of type ${type}`);
  return named ?? fitting.filter((algorithm) => !algorithm.startsWith('PBES2'));
}

function withKeyError<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    const isAboutKey =
      error instanceof SecretError || error instanceof PublicKeyError || error instanceof PrivateKeyError;
    throw isAboutKey ? new KeyError(error.message) : error;
  }
}
