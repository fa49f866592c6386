/** Verifies the signature of compact JWS tokens (RFC 7515) against a keyset. */
import { algorithmRow } from './algorithm.ts';
import { type CompactToken, type JsonObject, parseJsonObject } from './compact-token.ts';
import {
  hasUnknownKid,
  type KeySelectionFailure,
  type Keyset,
  MAX_PUBLIC_KEY_VERIFICATIONS,
  selectKeys,
  type VerificationKey,
} from './keyset.ts';

declare const signatureVerified: unique symbol;

/** A token that one of our keys has authenticated. Only this file makes one; its claims are still to be checked. */
export interface VerifiedToken {
  readonly [signatureVerified]: true;
  readonly keyId: string;
  readonly claims: JsonObject;
}

export type TokenRejection = 'invalid_token_format' | 'invalid_token_signature' | KeySelectionFailure;

/** The steps of a check that verify a token, in this order. */
type TokenStep = 'token' | 'key' | 'signature';

/** What was known when a token was rejected. */
interface RejectionFacts {
  /** Of the token's header, as sent. */
  readonly alg: unknown;
  readonly kid: unknown;
  /** The keys that the token's `kid` selects; at step `signature`, those of them that allow its `alg`. */
  readonly keys: readonly VerificationKey[];
}

interface RejectedToken {
  readonly kind: 'rejected';
  readonly reason: TokenRejection;
  readonly step: TokenStep;
  /** `undefined` where the header could not be read. */
  readonly facts: RejectionFacts | undefined;
}

export type TokenResult = { readonly kind: 'verified'; readonly token: VerifiedToken } | RejectedToken;

/** The verification effort of one check, whatever the number of its tokens. */
export interface VerificationAttempts {
  publicKeysLeft: number;
  /** A token named a `kid` that no key has: its source may have changed. */
  sawUnknownKid: boolean;
}

export function startAttempts(): VerificationAttempts {
  return { publicKeysLeft: MAX_PUBLIC_KEY_VERIFICATIONS, sawUnknownKid: false };
}

/** The claims of a payload that is not a JSON object; {@link hasClaims} distinguishes it from an empty object. */
const NO_CLAIMS: JsonObject = Object.freeze({});

/**
 * Checks form, header, key and signature, in this order. Whether the payload is a JSON object is left to
 * {@link hasClaims}: by then it is known which key signed it.
 * @param host of the request: some keys serve some hosts only.
 * @param attempts of the check. If they run out before every key was tried, the reason is `internal_error`: to call
 *   the signature invalid would hide from the operator that there are too many keys.
 */
export function verifyToken(
  token: CompactToken,
  keyset: Keyset,
  host: string,
  attempts: VerificationAttempts = startAttempts(),
): TokenResult {
  const { parsed } = token;
  if (parsed === undefined) return rejectToken('invalid_token_format', 'token');
  const { header } = parsed;
  // The kid of an encrypted token names a decryption key, which no JWK Set contains.
  if (parsed.kind === 'jws' && hasUnknownKid(keyset, header)) attempts.sawUnknownKid = true;

  // RFC 7515 §4.1.11: we understand no extension, so a critical one must be rejected.
  if (Object.hasOwn(header, 'crit') || header['alg'] === 'none' || parsed.kind === 'jwe') {
    return rejectToken('unsupported_token_algorithm', 'key', header);
  }
  if (parsed.signature.length === 0) return rejectToken('invalid_token_format', 'key', header);

  const selection = selectKeys(keyset, header, host);
  if (selection.kind === 'none') return rejectToken(selection.reason, 'key', header, selection.considered);
  const { keys, algorithm } = selection;
  const isPublicKey = algorithmRow(algorithm).family !== 'secret';
  const signingInput = token.text.slice(0, token.text.lastIndexOf('.'));
  for (const key of keys) {
    if (isPublicKey && attempts.publicKeysLeft-- <= 0) {
      return rejectToken('internal_error', 'key', header, keys);
    }
    if (key.verify(algorithm, signingInput, parsed.signature)) return verified(key.id, token.claims);
  }
  return rejectToken('invalid_token_signature', 'signature', header, keys);
}

/** Accepts claims that stood in an encrypted token without a signature: the decryption key authenticated them. */
export function acceptDecryptedClaims(keyId: string, plaintext: Buffer): TokenResult {
  return verified(keyId, parseJsonObject(plaintext));
}

/** Whether the payload is a JSON object, as it must be. */
export function hasClaims(token: VerifiedToken): boolean {
  return token.claims !== NO_CLAIMS;
}

const NO_KEYS: readonly VerificationKey[] = [];

export function rejectToken(
  reason: TokenRejection,
  step: TokenStep,
  header?: JsonObject,
  keys: readonly VerificationKey[] = NO_KEYS,
): RejectedToken {
  const facts = header && { alg: header['alg'], kid: header['kid'], keys };
  return { kind: 'rejected', reason, step, facts };
}

function verified(keyId: string, claims: JsonObject | undefined): TokenResult {
  return { kind: 'verified', token: { keyId, claims: claims ?? NO_CLAIMS } as VerifiedToken };
}
