/** Defines readiness: what `/readyz` shows and gRPC health follows. */
export interface Readiness {
  readonly isReady: boolean;
  /** The state of each component, in words. */
  readonly components: Readonly<Record<string, unknown>>;
}
