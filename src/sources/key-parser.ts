/** Parses secrets, PEM, JWK Sets and private keys into the keys that the configuration describes. */
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
import type { MessageSigningKey } from '../authz/token-verifier.ts';
import type { DecryptionKeyConfig, KeyConfig, MessageSigningKeyConfig } from '../config/config.ts';

type DescribedKey = Omit<KeyConfig, 'path'>;
type DescribedDecryptionKey = Omit<DecryptionKeyConfig, 'file' | 'path'>;

/** The id and hosts that all keys of one entry share. */
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

export interface ParsedKeys {
  /** Several for a JWK Set, else one. */
  readonly keys: readonly VerificationKey[];
  /** For the operator; quotes no key. */
  readonly warnings: readonly string[];
}

/** @throws {KeyError} the content cannot be used. */
export function parseKeys(key: DescribedKey, text: string): ParsedKeys {
  const description = describeKey(key);
  const { kid, algorithms } = key;
  switch (key.format) {
    case 'secret': {
      const rule = signingLength(algorithms ?? DEFAULT_ALGORITHMS);
      return keysOfSecret(key, Secret.parse(text, rule));
    }
    case 'pem': {
      const publicKey = parsePem(text, algorithms ?? []);
      return { keys: [createAsymmetricKey(description, publicKey, kid)], warnings: [] };
    }
    case 'jwks': {
      const set = parseJwks(text, { allowed: algorithms, isStrict: 'file' in key.location });
      return {
        keys: set.keys.map((publicKey) => createAsymmetricKey(description, publicKey)),
        warnings: set.warnings,
      };
    }
  }
}

const DEFAULT_ALGORITHMS = ['HS256'] as const;

/** A secret from a file or the environment. */
export function keysOfSecret(key: DescribedKey, secret: Secret): ParsedKeys {
  const algorithms = key.algorithms ?? DEFAULT_ALGORITHMS;
  const symmetric = createSymmetricKey(describeKey(key), key.kid, algorithms, secret);
  return { keys: [symmetric], warnings: secret.warning === undefined ? [] : [secret.warning] };
}

/** The token cache lives as long as the key objects: of the same entry, keys that did not change stay the same objects. */
export function keepSameKeys(next: ParsedKeys, last: ParsedKeys | undefined): ParsedKeys {
  return last !== undefined && contentOf(next) === contentOf(last) ? { ...next, keys: last.keys } : next;
}

function contentOf({ keys }: ParsedKeys): string {
  return JSON.stringify(keys.map(({ kid, algorithms, fingerprint }) => ({ kid, algorithms, fingerprint })));
}

/** Like {@link keepSameKeys}: the algorithms follow from the entry and the key. */
export function keepSameDecryptionKey(next: DecryptionKey, last: DecryptionKey | undefined): DecryptionKey {
  return last?.fingerprint === next.fingerprint ? last : next;
}

/** @throws {KeyError} the content cannot be used. */
export function parseDecryptionKey(config: DescribedDecryptionKey, text: string): DecryptionKey {
  const { id, kid, isNested } = config;
  const secret = config.format === 'secret' ? Secret.parse(text, decryptionLength(config)) : undefined;
  const key = secret?.toKeyObject() ?? parsePrivateKey(text);
  const named = allowedAlgorithms(key, config.keyManagementAlgorithms);
  const contentEncryptionAlgorithms = (
    config.contentEncryptionAlgorithms ?? CONTENT_ENCRYPTION_ALGORITHMS
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

/** An account key as loaded. */
export interface LoadedMessageSigningKey extends MessageSigningKey {
  readonly fingerprint: string;
  /** For the operator; reveals nothing of the key. */
  readonly warning: string | undefined;
}

/**
 * @param last is returned again where the content still means the same.
 * @throws {KeyError} the content cannot be used.
 */
export function parseMessageSigningKey(
  { id, mskid }: Pick<MessageSigningKeyConfig, 'id' | 'mskid'>,
  text: string,
  last?: LoadedMessageSigningKey,
): LoadedMessageSigningKey {
  const secret = Secret.parse(text, signingLength(DEFAULT_ALGORITHMS));
  const { fingerprint, warning } = secret;
  return last?.fingerprint === fingerprint ? last : { id, mskid, secret, fingerprint, warning };
}

/**
 * A user name or password.
 * @throws {KeyError} the content cannot be used.
 */
export function parseCredential(text: string): string {
  const trimmed = text.replace(/\r?\n$/, '');
  if (trimmed === '') throw new KeyError('the file is empty');
  if (/[\r\n]/.test(trimmed)) throw new KeyError('the file has more than one line');
  return trimmed;
}

/** Decryption needs secrets of an exact length (RFC 7518 §4.4, §4.5 and §4.7), except for a password. */
function decryptionLength({
  keyManagementAlgorithms: algorithms = [],
  contentEncryptionAlgorithms,
}: DescribedDecryptionKey): LengthRule {
  const exact = secretLengths(algorithms, contentEncryptionAlgorithms);
  const [[bytesOfFirst, first] = []] = exact;
  const possible =
    first === undefined
      ? secretLengths(
          DEFAULT_DECRYPTION_ALGORITHMS,
          contentEncryptionAlgorithms ?? CONTENT_ENCRYPTION_ALGORITHMS,
        )
      : exact;
  const isPassword = algorithms.length > 0 && algorithms.every((algorithm) => algorithm.startsWith('PBES2'));
  return (bytes) => {
    if (isPassword || possible.has(bytes)) return undefined;
    if (first !== undefined) return `${first} needs exactly ${bytesOfFirst}`;
    return `decryption needs exactly ${[...possible.keys()].sort((a, b) => a - b).join(' or ')}`;
  };
}

/** One for each possible length of a secret. */
const DEFAULT_DECRYPTION_ALGORITHMS = ['A128KW', 'A192KW', 'A256KW', 'dir'] as const;

/** The configured algorithms, or all that work with the key; of those, PBES2 is for passwords and must be configured. */
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
