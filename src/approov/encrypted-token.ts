/** Owns encrypted tokens (RFC 7516 compact JWE): opened by a decryption key, to the signed token or the claims inside. */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { compactDecrypt, errors } from 'jose';
import type { Keyset } from './keyset.ts';
import {
  acceptDecryptedClaims,
  readUnverifiedToken,
  startAttempts,
  type TokenFailure,
  type VerificationAttempts,
  type VerifiedToken,
  verifyToken,
} from './token.ts';

/** Key management (RFC 7518 §4.1) that a decryption key may be allowed. */
export const DECRYPTION_ALGORITHMS = [
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
export type DecryptionAlgorithm = (typeof DECRYPTION_ALGORITHMS)[number];

/** Content encryption (RFC 7518 §5.1). */
export const ENCRYPTIONS = [
  'A128GCM',
  'A192GCM',
  'A256GCM',
  'A128CBC-HS256',
  'A192CBC-HS384',
  'A256CBC-HS512',
] as const;
export type Encryption = (typeof ENCRYPTIONS)[number];

/** Rounds of PBES2 beyond which a token is not opened: each would cost a hash, and the sender chooses the number. */
const MAX_PBES2_COUNT = 10_000;
/** Bytes that a compressed token may grow to. */
const MAX_DECOMPRESSED_BYTES = 65_536;

/** One key that opens tokens, and what it is allowed. */
export interface DecryptionKey {
  readonly id: string;
  readonly key: KeyObject;
  /** 12 hex digits that tell keys apart without giving one away. */
  readonly fingerprint: string;
  readonly algorithms: readonly DecryptionAlgorithm[];
  readonly encryptions: readonly Encryption[];
  /** Inside is a signed token, verified as any other. If not, the claims themselves: for a secret only. */
  readonly isNested: boolean;
}

/** What was inside, or that no key opens it. */
export type OpenedToken =
  | { readonly kind: 'signed'; readonly token: string }
  | { readonly kind: 'claims'; readonly keyId: string; readonly plaintext: Buffer }
  | { readonly kind: 'unopened' };

/** Whether a token has the form of a compact JWE (RFC 7516 §7.1): five strict parts, the first a readable header. */
export function isEncryptedToken(token: string): boolean {
  return readUnverifiedToken(token) !== undefined && token.split('.').length === 5;
}

/** Tries each key that allows the token's `alg` and `enc`; never throws for what a token holds. */
export async function openToken(token: string, keys: readonly DecryptionKey[]): Promise<OpenedToken> {
  if (!isEncryptedToken(token)) return { kind: 'unopened' };
  for (const { id, key, algorithms, encryptions, isNested } of keys) {
    const plaintext = await decrypt(token, key, algorithms, encryptions);
    if (plaintext === undefined) continue;
    return isNested
      ? { kind: 'signed', token: plaintext.toString('latin1') }
      : { kind: 'claims', keyId: id, plaintext };
  }
  return { kind: 'unopened' };
}

/** What decryption keys made of the encrypted tokens of a request, by token. */
export type OpenedTokens = ReadonlyMap<string, OpenedToken>;

/** Judges a token that may be encrypted, as {@link verifyToken} does; one that was not opened is not supported. */
export function verifyOpenedToken(
  token: string,
  opened: OpenedTokens,
  keyset: Keyset,
  host: string,
  attempts: VerificationAttempts = startAttempts(),
): VerifiedToken | TokenFailure {
  const inside = opened.get(token);
  if (inside?.kind === 'claims') return acceptDecryptedClaims(inside.keyId, inside.plaintext);
  return verifyToken(inside?.kind === 'signed' ? inside.token : token, keyset, host, attempts);
}

async function decrypt(
  token: string,
  key: KeyObject,
  algorithms: readonly DecryptionAlgorithm[],
  encryptions: readonly Encryption[],
): Promise<Buffer | undefined> {
  try {
    const { plaintext } = await compactDecrypt(token, key, {
      keyManagementAlgorithms: [...algorithms],
      contentEncryptionAlgorithms: [...encryptions],
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
