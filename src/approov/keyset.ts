/** Owns the keys that may verify a token, and which of them a token's header may use. */
import type { Algorithm } from './algorithm.ts';
import type { Secret } from './secret.ts';

/** One key: its id is ours (for metrics and logs), its `kid` is the token issuer's (RFC 7515 §4.1.4). */
export interface VerificationKey {
  readonly id: string;
  readonly kid: string | undefined;
  readonly algorithms: readonly Algorithm[];
  /** 12 hex digits that tell keys apart without giving one away. */
  readonly fingerprint: string;
  /** @param signingInput the token up to its last dot (RFC 7515 §5.1): ASCII. */
  verify(algorithm: Algorithm, signingInput: string, signature: Buffer): boolean;
}

/** A key that also signs, which only `mint` asks for. */
export interface SymmetricKey extends VerificationKey {
  readonly secret: Secret;
}

export function createSymmetricKey(
  id: string,
  kid: string | undefined,
  algorithms: readonly Algorithm[],
  secret: Secret,
): SymmetricKey {
  return {
    id,
    kid,
    algorithms,
    fingerprint: secret.fingerprint,
    verify: (algorithm, signingInput, signature) => secret.verify(algorithm, signingInput, signature),
    secret,
  };
}

export interface Keyset {
  readonly keys: readonly VerificationKey[];
}

export type KeySelectionFailure = 'unknown_key_id' | 'unsupported_token_algorithm';

/**
 * The keys that a token's header allows. A `kid` picks the keys that declare it, else those that declare
 * none, so that naming one key does not shut out tokens from before it had a name.
 */
export function selectKeys(
  keyset: Keyset,
  header: Readonly<Record<string, unknown>>,
): readonly VerificationKey[] | KeySelectionFailure {
  const byKid = keysForKid(keyset.keys, header);
  if (byKid.length === 0) return 'unknown_key_id';
  const byAlgorithm = byKid.filter((key) => (key.algorithms as readonly unknown[]).includes(header['alg']));
  return byAlgorithm.length === 0 ? 'unsupported_token_algorithm' : byAlgorithm;
}

function keysForKid(
  keys: readonly VerificationKey[],
  header: Readonly<Record<string, unknown>>,
): readonly VerificationKey[] {
  if (!Object.hasOwn(header, 'kid')) return keys;
  const declared = keys.filter((key) => key.kid !== undefined && key.kid === header['kid']);
  return declared.length > 0 ? declared : keys.filter((key) => key.kid === undefined);
}
