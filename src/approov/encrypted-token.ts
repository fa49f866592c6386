/** Owns encrypted tokens (RFC 7516 compact JWE): opened by a decryption key, to the signed token or the claims inside. */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { compactDecrypt, errors } from 'jose';
import {
  type ContentEncryptionAlgorithm,
  curveOf,
  isFitFor,
  type KeyManagementAlgorithm,
  keyTypeOf,
} from './decryption-algorithm.ts';
import type { Keyset } from './keyset.ts';
import {
  acceptDecryptedClaims,
  type JsonObject,
  readUnverifiedToken,
  startAttempts,
  type TokenFailure,
  type VerificationAttempts,
  type VerifiedToken,
  verifyToken,
} from './token.ts';

/** Most PBES2 rounds, which the sender chooses: 1 to 2 ms of CPU, as much as an RSA decryption. jose encrypts with 2,048. */
const MAX_PBES2_COUNT = 4096;
/** Bytes that a compressed token may grow to. */
const MAX_DECOMPRESSED_BYTES = 65_536;

/** One key that opens tokens, and what it is allowed. */
export interface DecryptionKey {
  readonly id: string;
  /** `undefined`: it declares none. */
  readonly kid: string | undefined;
  readonly key: KeyObject;
  /** 12 hex digits that tell keys apart without giving one away. */
  readonly fingerprint: string;
  readonly keyManagementAlgorithms: readonly KeyManagementAlgorithm[];
  readonly contentEncryptionAlgorithms: readonly ContentEncryptionAlgorithm[];
  /** Inside is a signed token, verified as any other. If not, the claims themselves: for a secret only. */
  readonly isNested: boolean;
  /** What its owner should know of it; holds nothing of it. */
  readonly warning?: string | undefined;
}

/** What was inside, or that no key opens it, or that nobody tried as too many were being opened. */
export type DecryptedToken =
  | { readonly kind: 'signed'; readonly token: string }
  | { readonly kind: 'claims'; readonly keyId: string; readonly plaintext: Buffer }
  | { readonly kind: 'not-decrypted' }
  | { readonly kind: 'overloaded' };

/** Whether a token has the form of a compact JWE (RFC 7516 §7.1): five strict parts, the first a readable header. */
export function isEncryptedToken(token: string): boolean {
  return readHeader(token) !== undefined;
}

/** Decrypts with the one key that the token's header chooses; never throws for what a token holds. */
export async function decryptToken(token: string, keys: readonly DecryptionKey[]): Promise<DecryptedToken> {
  const header = readHeader(token);
  const key = header && chooseDecryptionKey(header, keys);
  if (key === undefined) return { kind: 'not-decrypted' };
  const plaintext = await decrypt(token, key);
  if (plaintext === undefined) return { kind: 'not-decrypted' };
  return key.isNested
    ? { kind: 'signed', token: plaintext.toString('latin1') }
    : { kind: 'claims', keyId: key.id, plaintext };
}

function readHeader(token: string): JsonObject | undefined {
  return JWE_FORM.test(token) ? readUnverifiedToken(token)?.header : undefined;
}

/** Cheaper than to decode the parts of every token that is not encrypted. */
const JWE_FORM = /^[^.]*(?:\.[^.]*){4}$/;

/**
 * Decrypting is what a forged token costs most, so one key has to be chosen before any is tried: by the `kid`, as for
 * signatures, and by `alg` and `enc`. A token without a `kid` is more likely from a key that declares none.
 */
function chooseDecryptionKey(header: JsonObject, keys: readonly DecryptionKey[]): DecryptionKey | undefined {
  const undeclared = keys.filter(({ kid }) => kid === undefined);
  const declared = keys.filter(({ kid }) => kid !== undefined);
  const named = declared.filter(({ kid }) => kid === header['kid']);
  const candidates = Object.hasOwn(header, 'kid')
    ? named.length > 0
      ? named
      : undeclared
    : [...undeclared, ...declared];
  return candidates.find(
    ({ key, keyManagementAlgorithms, contentEncryptionAlgorithms }) =>
      keyManagementAlgorithms.some((algorithm) => algorithm === header['alg']) &&
      contentEncryptionAlgorithms.some((encryption) => encryption === header['enc']) &&
      isFitFor(key, header['alg'] as KeyManagementAlgorithm, header['enc'] as ContentEncryptionAlgorithm) &&
      (curveOf(key) === undefined || curveOf(key) === ephemeralCurve(header)),
  );
}

function ephemeralCurve(header: JsonObject): unknown {
  return (header['epk'] as { crv?: unknown } | null | undefined)?.crv;
}

/** Whether some token would choose either of two keys, of which only the first would ever be used. */
export function isSameChoice(one: DecryptionKey, other: DecryptionKey): boolean {
  if (one.kid !== other.kid || keyTypeOf(one.key) !== keyTypeOf(other.key)) return false;
  return one.keyManagementAlgorithms.some((algorithm) =>
    one.contentEncryptionAlgorithms.some(
      (encryption) =>
        other.keyManagementAlgorithms.includes(algorithm) &&
        other.contentEncryptionAlgorithms.includes(encryption) &&
        isFitFor(one.key, algorithm, encryption) &&
        isFitFor(other.key, algorithm, encryption),
    ),
  );
}

/** What decryption keys made of the encrypted tokens of a request, by token. */
export type DecryptedTokens = ReadonlyMap<string, DecryptedToken>;

/** Judges a token that may be encrypted, as {@link verifyToken} does; one that was not opened is not supported. */
export function verifyDecryptedToken(
  token: string,
  opened: DecryptedTokens,
  keyset: Keyset,
  host: string,
  attempts: VerificationAttempts = startAttempts(),
): VerifiedToken | TokenFailure {
  const inside = opened.get(token);
  if (inside?.kind === 'overloaded') return 'internal_error';
  if (inside?.kind === 'claims') return acceptDecryptedClaims(inside.keyId, inside.plaintext);
  return verifyToken(inside?.kind === 'signed' ? inside.token : token, keyset, host, attempts);
}

async function decrypt(
  token: string,
  { key, keyManagementAlgorithms, contentEncryptionAlgorithms }: DecryptionKey,
): Promise<Buffer | undefined> {
  try {
    const { plaintext } = await compactDecrypt(token, key, {
      keyManagementAlgorithms: [...keyManagementAlgorithms],
      contentEncryptionAlgorithms: [...contentEncryptionAlgorithms],
      maxPBES2Count: MAX_PBES2_COUNT,
      maxDecompressedLength: MAX_DECOMPRESSED_BYTES,
    });
    return Buffer.from(plaintext);
  } catch (error) {
    // A key of the wrong size or kind for the token's `alg` is a TypeError, or from Node 22 on WebCrypto's DataError;
    // the rest jose says in its own words.
    const isOfToken = [errors.JOSEError, TypeError, DOMException].some((kind) => error instanceof kind);
    if (isOfToken) return undefined;
    throw error;
  }
}

/** What is wrong with a private key, in words that quote nothing of it. */
export class PrivateKeyError extends Error {
  override readonly name = 'PrivateKeyError';
}

/** @throws {PrivateKeyError} no private key in PEM, or an RSA key under 2048 bits (RFC 7518 §4.3). */
export function parsePrivateKey(text: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch {
    throw new PrivateKeyError('no private key in PEM');
  }
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < 2048) {
    throw new PrivateKeyError(`an RSA key of ${bits} bits; at least 2048 are needed`);
  }
  return key;
}
