/** What a user of the server implements. */
import type { Failure } from './status.ts';

export interface CallInfo {
  readonly path: string;
  /** When the client stops waiting (`grpc-timeout`), in milliseconds since the epoch; `Infinity` without a timeout. */
  readonly deadlineMs: number;
  /** The first value of a header that the server was configured to read (`headers`). */
  header(name: string): string | undefined;
}

/** The bytes of a message, or why there is none. */
export type Result = Uint8Array | Failure;

/**
 * `answered`: a result was sent. `rejected`: the server responded instead of the handler, since the call was not valid.
 * `cancelled`: the stream or the connection ended before a response. `deadline`: the client's timeout passed before.
 */
export type CallEnd = 'answered' | 'rejected' | 'cancelled' | 'deadline';

export interface UnaryMethod {
  /**
   * The message and the returned buffer are not copied: neither may be changed later. A handler that throws or rejects
   * fails its call with INTERNAL.
   */
  readonly handle: (message: Buffer, call: CallInfo) => Result | Promise<Result>;
  /** The headers of a call have arrived. The returned function is called when the call has ended. Neither may throw. */
  readonly onStarted?: () => (end: CallEnd) => void;
}

export type Methods = ReadonlyMap<string, UnaryMethod>;
