/** What a connection needs from its user, and reports to it. */
import type { RequestFields } from './request-fields.ts';
import type { Stream } from './stream.ts';

/** What happens on the streams of a connection. Its functions must not throw. */
export interface StreamListener<Call> {
  /** A request has begun. Its fields are valid, unless they are too large; they are read before this returns. */
  onRequest(stream: Stream<Call>, fields: RequestFields): void;
  /** A part of its body. The bytes do not change later, but a part that is kept keeps all of `bytes` in memory. */
  onData(stream: Stream<Call>, bytes: Buffer, from: number, to: number): void;
  /** The request is complete. */
  onEnd(stream: Stream<Call>): void;
  /** A stream is about to be refused, because so many others are active. Those that can be answered are. */
  onFull(): void;
  /** All of the response has been sent, as far as flow control is concerned. */
  onAnswered(stream: Stream<Call>): void;
  /** The stream was reset, by the peer or by us, before that. */
  onReset(stream: Stream<Call>): void;
}

/** Bytes of the incomplete requests of all connections of a server. */
export interface IncompleteBytes {
  count: number;
}

export interface RequestOptions {
  readonly maxConcurrentStreams: number;
  readonly maxHeaderListBytes: number;
  /** SETTINGS_INITIAL_WINDOW_SIZE, at least the 65,535 bytes that a client may send before it has read ours. */
  readonly streamWindowBytes: number;
  readonly incompleteBytes: IncompleteBytes;
  /** Names of the regular fields that are read from requests, in the order of `RequestFields.value`. */
  readonly fieldNames: readonly string[];
}
