/** Decrypts encrypted tokens (RFC 7516 compact JWE) to the signed token or the claims that they contain. */
import type { KeyObject } from 'node:crypto';
import { compactDecrypt, errors } from 'jose';
import { CompactToken, type JsonObject } from './compact-token.ts';
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
  rejectToken,
  type TokenResult,
  type VerificationAttempts,
  verifyToken,
} from './token.ts';

/** Most PBES2 rounds (`p2c`), which the sender chooses. They cost 1 to 2 ms, like an RSA decryption; jose encrypts with 2,048. */
const MAX_PBES2_COUNT = 4096;
/** Most bytes that a compressed token may inflate to. */
const MAX_DECOMPRESSED_BYTES = 65_536;

/** A key that decrypts tokens, and the algorithms that it may be used with. */
export interface DecryptionKey {
  readonly id: string;
  /** `undefined`: none declared. */
  readonly kid: string | undefined;
  readonly key: KeyObject;
  /** 12 hex digits that identify the key without revealing it. */
  readonly fingerprint: string;
  readonly keyManagementAlgorithms: readonly KeyManagementAlgorithm[];
  readonly contentEncryptionAlgorithms: readonly ContentEncryptionAlgorithm[];
  /** Whether the plaintext is a signed token, verified like any other. Else it is the claims: for a secret only. */
  readonly isNested: boolean;
  /** For the operator; reveals nothing of the key. */
  readonly warning?: string | undefined;
}

export type DecryptionResult =
  | { readonly kind: 'signed'; readonly token: CompactToken }
  | { readonly kind: 'claims'; readonly keyId: string; readonly plaintext: Buffer }
  | { readonly kind: 'not-decrypted' }
  /** Not tried: too many decryptions were running. */
  | { readonly kind: 'overloaded' };

/** Decrypts with the one key that the token's header selects. Never throws for what a token contains. */
export async function decryptToken(
  token: CompactToken,
  keys: readonly DecryptionKey[],
): Promise<DecryptionResult> {
  const key = token.isEncrypted && token.header ? selectDecryptionKey(token.header, keys) : undefined;
  const plaintext = key && (await decrypt(token.text, key));
  if (key === undefined || plaintext === undefined) return { kind: 'not-decrypted' };
  return key.isNested
    ? { kind: 'signed', token: new CompactToken(plaintext.toString('latin1')) }
    : { kind: 'claims', keyId: key.id, plaintext };
}

/**
 * Verifies what an encrypted token contains, as {@link verifyToken} does.
 * @param token as sent, encrypted.
 */
export function verifyDecrypted(
  token: CompactToken,
  decryption: DecryptionResult,
  keyset: Keyset,
  host: string,
  attempts: VerificationAttempts,
): TokenResult {
  switch (decryption.kind) {
    case 'overloaded':
      return rejectToken('internal_error', 'key', token.header);
    case 'not-decrypted':
      return verifyToken(token, keyset, host, attempts);
    case 'claims':
      return acceptDecryptedClaims(decryption.keyId, decryption.plaintext);
    case 'signed': {
      const result = verifyToken(decryption.token, keyset, host, attempts);
      // The token that was sent is well-formed and its key was found: what is malformed is its content.
      return result.kind === 'rejected' && result.reason === 'invalid_token_format'
        ? { ...result, step: 'signature' }
        : result;
    }
  }
}

/**
 * Decryption is the most expensive part of a check, so only one key is tried: selected by `kid`, as for signatures, and
 * by `alg` and `enc`. For a token without a `kid`, keys that declare none come first.
 */
function selectDecryptionKey(header: JsonObject, keys: readonly DecryptionKey[]): DecryptionKey | undefined {
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

/** Whether some token could select either of two keys: only the first would ever be used for it. */
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
    // A key of the wrong size or kind for the token's `alg` is a TypeError, from Node 22 on WebCrypto's DataError;
    // any other fault of a token is a JOSEError.
    const isTokenFault = [errors.JOSEError, TypeError, DOMException].some((kind) => error instanceof kind);
    if (isTokenFault) return undefined;
    throw error;
  }
}
