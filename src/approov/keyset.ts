/** Selects the keys that may verify a token, by its `kid` and `alg` and by the request's host. */
import { ALGORITHM_NAMES, type Algorithm, algorithmRow, parseAlgorithm } from './algorithm.ts';
import type { PublicKey } from './public-key.ts';
import type { Secret } from './secret.ts';

/** Whether a key may be used for requests to a host. */
export type HostRule = (host: string) => boolean;

/** The id is ours, for metrics and logs; the `kid` is the token issuer's (RFC 7515 §4.1.4). */
export interface VerificationKey {
  readonly id: string;
  readonly kid: string | undefined;
  readonly algorithms: readonly Algorithm[];
  /** 12 hex digits that identify the key without revealing it. */
  readonly fingerprint: string;
  /** `undefined`: for every host. */
  readonly isForHost: HostRule | undefined;
  /** Of a symmetric key: `mint` signs with it. */
  readonly secret?: Secret;
  /** @param signingInput the token up to its last dot (RFC 7515 §5.1): ASCII. */
  verify(algorithm: Algorithm, signingInput: string, signature: Buffer): boolean;
}

/** What is configured for every key of a source. */
export interface KeyDescription {
  readonly id: string;
  readonly isForHost?: HostRule | undefined;
}

export interface Keyset {
  readonly keys: readonly VerificationKey[];
  /** Sources that have never loaded. They may have the key of a token that no loaded key can verify. */
  readonly missing: readonly KeyDescription[];
}

/**
 * Most public-key verifications per check. Each costs about as much as a hundred HMACs, and a token without a `kid` may
 * use every key of its algorithm: without a limit, the size of a JWK Set would set the cost of a forged token.
 */
export const MAX_PUBLIC_KEY_VERIFICATIONS = 8;

/** `internal_error`: the right key may be in a source that has never loaded, or was not tried. */
export type KeySelectionFailure = 'unknown_key_id' | 'unsupported_token_algorithm' | 'internal_error';

type KeySelection =
  | {
      readonly kind: 'selected';
      readonly keys: readonly VerificationKey[];
      readonly algorithm: Algorithm;
    }
  | {
      readonly kind: 'none';
      readonly reason: KeySelectionFailure;
      /** The keys that the `kid` and the host select; none of them allows the `alg`. */
      readonly considered: readonly VerificationKey[];
    };

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

/** @param kid as configured, for a key that does not declare one itself. */
export function createAsymmetricKey(
  description: KeyDescription,
  key: PublicKey,
  kid: string | undefined = key.kid,
): VerificationKey {
  return { ...key, id: description.id, isForHost: description.isForHost, kid };
}

/**
 * Selects the keys that a token may use. A `kid` selects the keys that declare it, else those that declare none, so
 * that declaring the `kid` of one key does not break tokens that another key signed.
 * @param host of the request.
 */
export function selectKeys(
  keyset: Keyset,
  header: Readonly<Record<string, unknown>>,
  host: string,
): KeySelection {
  const byKid = keysForKid(
    keyset.keys.filter((key) => isFor(key, host)),
    header,
  );
  const algorithm = parseAlgorithm(header['alg']);
  if (algorithm !== undefined) {
    const keys = byKid.filter((key) => key.algorithms.includes(algorithm));
    if (keys.length > 0) return { kind: 'selected', keys, algorithm };
  }
  return { kind: 'none', reason: selectionFailure(keyset, byKid, host), considered: byKid };
}

function selectionFailure(
  keyset: Keyset,
  byKid: readonly VerificationKey[],
  host: string,
): KeySelectionFailure {
  if (keyset.missing.some((source) => isFor(source, host))) return 'internal_error';
  return byKid.length === 0 ? 'unknown_key_id' : 'unsupported_token_algorithm';
}

/**
 * Warns of algorithms with more keys than one check tries: a token without a `kid` may then fail with `internal_error`.
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

/** Whether a token names a `kid` that no key declares: its source may have changed. */
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
