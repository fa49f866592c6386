/** Defines how a verified message signature is recorded, so that a second request with it is recognised. */
import type { SignatureMark } from '../approov/message-signature/replay-mark.ts';

/** `per-instance`: this process alone remembers; `shared`: all replicas do, through a store. */
export type ReplayScope = 'per-instance' | 'shared';

export interface ReplayMark extends SignatureMark {
  /** Envoy's id of the request (`http.id`), which is the same on its retries; empty if absent. */
  readonly requestId: string;
  /** `created` of the signature. */
  readonly createdSeconds: number;
  /** How far in the future `created` may lie: the first use may be that much earlier than `created`. */
  readonly clockToleranceSeconds: number;
}

export type ReplayOutcome =
  /** The first request with this signature, or a retry of it. */
  | { readonly kind: 'fresh' }
  | { readonly kind: 'replayed' }
  /** It cannot be known, and the request must not be allowed. */
  | { readonly kind: 'failed' };

export interface ReplayGuard {
  /**
   * Records a signature. Call it as the last step, once per check: the signature is used from then on. Resolves within
   * the timeout of the store, and never rejects.
   */
  check(mark: ReplayMark, scope: ReplayScope): ReplayOutcome | Promise<ReplayOutcome>;
}
