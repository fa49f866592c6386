/** Owns what an Approov token is on the wire (RFC 7515 compact JWS) and whether one of our keys signed it. */
import { isUtf8 } from 'node:buffer';
import { algorithmRow, parseAlgorithm } from './algorithm.ts';
import { decodeBase64Url } from './base64.ts';
import {
  hasUnknownKid,
  type KeySelectionFailure,
  type Keyset,
  MAX_PUBLIC_KEY_VERIFICATIONS,
  selectKeys,
} from './keyset.ts';

/** Longest token in bytes; real ones have a few hundred. */
export const MAX_TOKEN_BYTES = 8192;

/** What one check has spent on its tokens and seen in them, whatever their number. */
export interface VerificationAttempts {
  publicKeysLeft: number;
  /** A token named a key that is not there: a sign that its source has changed. */
  sawUnknownKid: boolean;
}

export function startAttempts(): VerificationAttempts {
  return { publicKeysLeft: MAX_PUBLIC_KEY_VERIFICATIONS, sawUnknownKid: false };
}

/** A JSON object as it was parsed: every member is still to be checked for its type. */
export type JsonObject = Readonly<Record<string, unknown>>;

declare const signatureVerified: unique symbol;

/** A token that one of our keys vouches for. Only this file makes one; its claims are still to be judged. */
export interface VerifiedToken {
  readonly [signatureVerified]: true;
  readonly keyId: string;
  readonly claims: JsonObject;
}

/** The claims of a payload that is no JSON object: {@link hasClaims} tells them from an empty object. */
const NO_CLAIMS: JsonObject = Object.freeze({});

export type TokenFailure = 'invalid_token_format' | 'invalid_token_signature' | KeySelectionFailure;

/** What a token says of itself before anything is verified: for diagnosis, never for a decision. */
export interface UnverifiedToken {
  readonly header: JsonObject;
  readonly claims: JsonObject | undefined;
}

/**
 * Judges form, header, key and signature, in this order; the first that fails names the failure. Whether the payload
 * is a JSON object is left to {@link hasClaims}, as who signed it is known then.
 * @param host of the request: some keys serve some hosts only.
 * @param attempts of the check. If they are used up before every key was tried, the result is `internal_error`: to call
 * the signature invalid would hide from the operator that there are too many keys.
 */
export function verifyToken(
  token: string,
  keyset: Keyset,
  host: string,
  attempts: VerificationAttempts = startAttempts(),
): VerifiedToken | TokenFailure {
  const parts = splitToken(token);
  if (parts === undefined) return 'invalid_token_format';
  const header = parseJsonObject(parts[0]);
  if (header === undefined) return 'invalid_token_format';
  // The kid of an encrypted token names a decryption key, which no JWK Set holds.
  if (parts.length === 3 && hasUnknownKid(keyset, header)) attempts.sawUnknownKid = true;

  // RFC 7515 §4.1.11: we understand no extension, so a critical one must be refused.
  if (Object.hasOwn(header, 'crit') || header['alg'] === 'none' || parts.length === 5) {
    return 'unsupported_token_algorithm';
  }
  const [, payload, signature] = parts;
  if (signature.length === 0) return 'invalid_token_format';

  const keys = selectKeys(keyset, header, host);
  if (typeof keys === 'string') return keys;
  const algorithm = parseAlgorithm(header['alg']);
  if (algorithm === undefined) return 'unsupported_token_algorithm';
  const isPublicKey = algorithmRow(algorithm).family !== 'secret';
  const signingInput = token.slice(0, token.lastIndexOf('.'));
  for (const key of keys) {
    if (isPublicKey && attempts.publicKeysLeft-- <= 0) return 'internal_error';
    if (key.verify(algorithm, signingInput, signature)) return tokenOf(key.id, payload);
  }
  return 'invalid_token_signature';
}

/** The claims that a decryption key has opened, where they stand in the encrypted token without a signature of their own. */
export function acceptDecryptedClaims(keyId: string, plaintext: Buffer): VerifiedToken {
  return tokenOf(keyId, plaintext);
}

/** Whether the payload is the JSON object that it must be. The key has vouched for it, so it is a token either way. */
export function hasClaims(token: VerifiedToken): boolean {
  return token.claims !== NO_CLAIMS;
}

function tokenOf(keyId: string, payload: Buffer): VerifiedToken {
  return { keyId, claims: parseJsonObject(payload) ?? NO_CLAIMS } as VerifiedToken;
}

/** Reads a token without trusting it; `undefined` if it has no readable header. */
export function readUnverifiedToken(token: string): UnverifiedToken | undefined {
  const parts = splitToken(token);
  const header = parts && parseJsonObject(parts[0]);
  return header && { header, claims: parts.length === 3 ? parseJsonObject(parts[1]) : undefined };
}

type JwsParts = [header: Buffer, payload: Buffer, signature: Buffer];
type JweParts = [header: Buffer, key: Buffer, iv: Buffer, ciphertext: Buffer, tag: Buffer];

function splitToken(token: string): JwsParts | JweParts | undefined {
  if (token.length > MAX_TOKEN_BYTES) return undefined;
  // The limit keeps a token of dots from becoming thousands of parts; six are enough to see that it has too many.
  const parts = token.split('.', 6).map(decodeBase64Url);
  if (parts.includes(undefined)) return undefined;
  if (parts.length === 5) return parts as JweParts;
  const [header, payload] = parts;
  return parts.length === 3 && header?.length !== 0 && payload?.length !== 0
    ? (parts as JwsParts)
    : undefined;
}

function parseJsonObject(bytes: Buffer): JsonObject | undefined {
  if (!isUtf8(bytes)) return undefined;
  try {
    const value: unknown = JSON.parse(bytes.toString());
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}
