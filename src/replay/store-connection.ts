/** Defines what the shared store needs of a client library. Another library can be put in place of `redis` here. */

/** One connection, which fails for good when it is lost. */
export interface StoreConnection {
  /** `SET key value NX GET [PX ttlMs]`: the value that is there, or `null` if this command has set it. */
  setIfAbsent(key: string, value: string, ttlMs?: number): Promise<string | null>;
  /** `INFO server stats`. */
  info(): Promise<string>;
}

/**
 * Opens a connection.
 * @param signal closes the connection immediately, also while it is opened; what is in flight rejects.
 * @param onLost gets the error that ended the connection.
 */
export type Connect = (signal: AbortSignal, onLost: (error: unknown) => void) => Promise<StoreConnection>;

/** An error whose message can be shown. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
}

/**
 * Says in a few words why a store failed, without what a library's message may quote: the system's code, or the first
 * word of an error reply, such as `OOM`.
 */
export function describeError(error: unknown): string {
  if (error instanceof StoreError) return error.message;
  const { code, message = '' } = error as { readonly code?: unknown; readonly message?: string };
  if (typeof code === 'string') return code;
  return /^[A-Z]{2,20}(?= |$)/.exec(message)?.[0] ?? 'connection closed';
}
