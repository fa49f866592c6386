/** Owns what key files hold: secrets, PEM, JWK Sets and private keys become the keys that the configuration describes. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import {
  algorithmsFor,
  CONTENT_ENCRYPTION_ALGORITHMS,
  isFitFor,
  type KeyManagementAlgorithm,
  keyTypeOf,
  secretLengths,
} from '../approov/decryption-algorithm.ts';
import type { DecryptionKey } from '../approov/encrypted-token.ts';
import { KeyError } from '../approov/key-error.ts';
import {
  createAsymmetricKey,
  createSymmetricKey,
  type KeyDescription,
  type VerificationKey,
} from '../approov/keyset.ts';
import { parsePrivateKey } from '../approov/private-key.ts';
import { parseJwks, parsePem, thumbprint } from '../approov/public-key.ts';
import { type LengthRule, Secret, signingLength } from '../approov/secret.ts';
import { matchesHost, normalizeHost, readHost } from '../authz/host.ts';
import type { DecryptionKeyConfig, KeyConfig } from '../config/config.ts';

export { KeyError };

/** A key as the configuration describes it, wherever its content comes from. */
type DescribedKey = Omit<KeyConfig, 'path'>;
type DescribedDecryptionKey = Omit<DecryptionKeyConfig, 'file' | 'path'>;

/** The id and hosts that every key of a source has. */
export function describeKey({ id, hosts }: Pick<KeyConfig, 'id' | 'hosts'>): KeyDescription {
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

/** What a source of keys holds, and what its owner should know of it. */
export interface ParsedKeys {
  /** Several for a JWK Set, else one. */
  readonly keys: readonly VerificationKey[];
  /** Holds nothing of a key. */
  readonly warnings: readonly string[];
}

/** @throws {KeyError} what is wrong with the content. */
export function parseKeys(source: DescribedKey, text: string): ParsedKeys {
  const description = describeKey(source);
  const { kid, algorithms } = source;
  switch (source.format) {
    case 'secret': {
      const rule = signingLength(algorithms ?? DEFAULT_ALGORITHMS);
      return keysOfSecret(source, Secret.parse(text, rule));
    }
    case 'pem': {
      const key = parsePem(text, algorithms ?? []);
      return { keys: [createAsymmetricKey(description, key, kid)], warnings: [] };
    }
    case 'jwks': {
      const set = parseJwks(text, { allowed: algorithms, isStrict: 'file' in source.location });
      return {
        keys: set.keys.map((key) => createAsymmetricKey(description, key)),
        warnings: set.warnings,
      };
    }
  }
}

const DEFAULT_ALGORITHMS = ['HS256'] as const;

/** What a secret is, wherever it comes from: a file, or the environment. */
export function keysOfSecret(source: DescribedKey, secret: Secret): ParsedKeys {
  const algorithms = source.algorithms ?? DEFAULT_ALGORITHMS;
  const key = createSymmetricKey(describeKey(source), source.kid, algorithms, secret);
  return { keys: [key], warnings: secret.warning === undefined ? [] : [secret.warning] };
}

/** @throws {KeyError} what is wrong with the content. */
export function parseDecryptionKey(source: DescribedDecryptionKey, text: string): DecryptionKey {
  const { id, kid, isNested } = source;
  const secret = source.format === 'secret' ? Secret.parse(text, decryptionLength(source)) : undefined;
  const key = secret?.toKeyObject() ?? parsePrivateKey(text);
  const named = allowedAlgorithms(key, source.keyManagementAlgorithms);
  const contentEncryptionAlgorithms = (
    source.contentEncryptionAlgorithms ?? CONTENT_ENCRYPTION_ALGORITHMS
  ).filter((encryption) => named.some((algorithm) => isFitFor(key, algorithm, encryption)));
  const keyManagementAlgorithms = named.filter((algorithm) =>
    contentEncryptionAlgorithms.some((encryption) => isFitFor(key, algorithm, encryption)),
  );
  const fingerprint = secret?.fingerprint ?? thumbprint(createPublicKey(key));
  return {
    id,
    kid,
    key,
    fingerprint,
    keyManagementAlgorithms,
    contentEncryptionAlgorithms,
    isNested,
    warning: secret?.warning,
  };
}

/** Decryption takes secrets of an exact length (RFC 7518 §4.4, §4.5 and §4.7), but a password may have any. */
function decryptionLength({
  keyManagementAlgorithms: algorithms = [],
  contentEncryptionAlgorithms,
}: DescribedDecryptionKey): LengthRule {
  const exact = secretLengths(algorithms, contentEncryptionAlgorithms);
  const [[bytesOfFirst, first] = []] = exact;
  const possible =
    first === undefined
      ? secretLengths(UNNAMED_ALGORITHMS, contentEncryptionAlgorithms ?? CONTENT_ENCRYPTION_ALGORITHMS)
      : exact;
  const isPassword = algorithms.length > 0 && algorithms.every((algorithm) => algorithm.startsWith('PBES2'));
  return (bytes) => {
    if (isPassword || possible.has(bytes)) return undefined;
    if (first !== undefined) return `${first} needs exactly ${bytesOfFirst}`;
    return `decryption needs exactly ${[...possible.keys()].sort((a, b) => a - b).join(' or ')}`;
  };
}

/** The algorithms of a secret that names none, one for each length. */
const UNNAMED_ALGORITHMS = ['A128KW', 'A192KW', 'A256KW', 'dir'] as const;

/** What is named; else every algorithm that works with the key, save those by password, which a key is not. */
function allowedAlgorithms(
  key: KeyObject,
  named: readonly KeyManagementAlgorithm[] | undefined,
): readonly KeyManagementAlgorithm[] {
  const type = keyTypeOf(key);
  const fitting = algorithmsFor(type);
  if (fitting.length === 0) throw new KeyError(`a key of type ${type} opens no token`);
  const unfit = named?.find((algorithm) => !fitting.includes(algorithm));
  if (unfit !== undefined) throw new KeyError(`${unfit} does not work with a key of type ${type}`);
  return named ?? fitting.filter((algorithm) => !algorithm.startsWith('PBES2'));
}
