/** Owns the keys that may verify a token, and which of them a token's header and the request's host may use. */
import { ALGORITHM_NAMES, type Algorithm, algorithmRow, parseAlgorithm } from './algorithm.ts';
import type { PublicKey } from './public-key.ts';
import type { Secret } from './secret.ts';

/** Whether a key is used for a request's host. */
export type HostRule = (host: string) => boolean;

/** One key: its id is ours (for metrics and logs), its `kid` is the token issuer's (RFC 7515 §4.1.4). */
export interface VerificationKey {
  readonly id: string;
  readonly kid: string | undefined;
  readonly algorithms: readonly Algorithm[];
  /** 12 hex digits that tell keys apart without giving one away. */
  readonly fingerprint: string;
  /** `undefined`: for every host. */
  readonly isForHost: HostRule | undefined;
  /** The secret of a symmetric key, which signs as well: only `mint` asks for that. */
  readonly secret?: Secret;
  /** @param signingInput the token up to its last dot (RFC 7515 §5.1): ASCII. */
  verify(algorithm: Algorithm, signingInput: string, signature: Buffer): boolean;
}

/** What a configured key says of each key that its source holds. */
export interface KeyDescription {
  readonly id: string;
  readonly isForHost?: HostRule | undefined;
}

export interface Keyset {
  readonly keys: readonly VerificationKey[];
  /** Sources that have never loaded: a token that no loaded key can judge may be theirs. */
  readonly missing: readonly KeyDescription[];
}

/**
 * Most signatures that one check verifies with public keys. Each costs as much as some hundred HMACs, and a token
 * without a `kid` may use every key of its algorithm: without a limit, the size of a JWK Set would set the cost of a
 * forged token.
 */
export const MAX_PUBLIC_KEY_VERIFICATIONS = 8;

/** `internal_error`: the key that could judge the token is in a source that has never loaded, or was not tried. */
export type KeySelectionFailure = 'unknown_key_id' | 'unsupported_token_algorithm' | 'internal_error';

export function createSymmetricKey(
  description: KeyDescription,
  kid: string | undefined,
  algorithms: readonly Algorithm[],
  secret: Secret,
): VerificationKey {
  return {
    id: description.id,
    isForHost: description.isForHost,
    kid,
    algorithms,
    fingerprint: secret.fingerprint,
    secret,
    verify: (algorithm, signingInput, signature) => secret.verify(algorithm, signingInput, signature),
  };
}

/** @param kid what the configuration says of a key that does not say it itself. */
export function createAsymmetricKey(
  description: KeyDescription,
  key: PublicKey,
  kid: string | undefined = key.kid,
): VerificationKey {
  return { ...key, id: description.id, isForHost: description.isForHost, kid };
}

/**
 * The keys that a token may use. A `kid` picks the keys that declare it, else those that declare none, so that
 * naming one key does not shut out tokens from before it had a name.
 * @param host of the request.
 */
export function selectKeys(
  keyset: Keyset,
  header: Readonly<Record<string, unknown>>,
  host: string,
): readonly VerificationKey[] | KeySelectionFailure {
  const byKid = keysForKid(
    keyset.keys.filter((key) => isFor(key, host)),
    header,
  );
  const algorithm = parseAlgorithm(header['alg']);
  const byAlgorithm = byKid.filter((key) => algorithm !== undefined && key.algorithms.includes(algorithm));
  if (byAlgorithm.length > 0) return byAlgorithm;
  if (keyset.missing.some((source) => isFor(source, host))) return 'internal_error';
  return byKid.length === 0 ? 'unknown_key_id' : 'unsupported_token_algorithm';
}

/**
 * What an operator should know of a keyset: with more keys for one algorithm than a check tries, a token without a
 * `kid` may be one that no check can judge.
 * @param hosts one for each set of hosts that keys are limited to.
 */
export function keysetWarnings({ keys }: Keyset, hosts: readonly string[]): readonly string[] {
  return ALGORITHM_NAMES.filter((algorithm) => algorithmRow(algorithm).family !== 'secret').flatMap(
    (algorithm) => {
      const own = keys.filter((key) => key.algorithms.includes(algorithm));
      const most = Math.max(...['', ...hosts].map((host) => own.filter((key) => isFor(key, host)).length));
      return most > MAX_PUBLIC_KEY_VERIFICATIONS
        ? [
            `${most} keys may verify a token signed with ${algorithm} that has no kid; a check tries the first ${MAX_PUBLIC_KEY_VERIFICATIONS}, and answers internal_error if none of them verifies it`,
          ]
        : [];
    },
  );
}

/** Whether a token names a key that is not there: a sign that its source has changed. */
export function hasUnknownKid(keyset: Keyset, header: Readonly<Record<string, unknown>>): boolean {
  const { kid } = header;
  return typeof kid === 'string' && keyset.keys.every((key) => key.kid !== kid);
}

function isFor(key: KeyDescription, host: string): boolean {
  return key.isForHost === undefined || key.isForHost(host);
}

function keysForKid(
  keys: readonly VerificationKey[],
  header: Readonly<Record<string, unknown>>,
): readonly VerificationKey[] {
  if (!Object.hasOwn(header, 'kid')) return keys;
  const declared = keys.filter((key) => key.kid !== undefined && key.kid === header['kid']);
  return declared.length > 0 ? declared : keys.filter((key) => key.kid === undefined);
}
