/** The contract of a transport: the gRPC server that carries checks between Envoy and the checker. */
import type { ListenAddress } from '../config/address.ts';
import type { Http2ListenerOptions } from '../net/http2-listener.ts';
import type { TlsMaterial } from '../net/tls-material.ts';

/** What is known of a call besides its message. */
export interface CallInfo {
  /** The W3C Trace Context header, which Envoy adds when tracing is on. */
  readonly traceparent: string | undefined;
  /** When the client stops waiting (`grpc-timeout`), in milliseconds since the epoch; `Infinity` if it set no timeout. */
  readonly deadlineMs: number;
}

/** Answers a CheckRequest message with a CheckResponse message. Must neither throw nor reject. */
export type CheckHandler = (message: Buffer, info: CallInfo) => Buffer | Promise<Buffer>;

/** Why a check ended without an answer: its deadline passed; otherwise `cancelled`, which includes rejected calls. */
type AbandonCause = 'cancelled' | 'deadline';

export interface CheckCallObserver {
  /** A check has started. The returned function is called when it has ended. */
  readonly onStarted: () => () => void;
  /** A check ended before it was answered. */
  readonly onAbandoned: (cause: AbandonCause) => void;
}

/** Binding, TLS and connection limits are those of `net/http2-listener.ts`, which every transport is built on. */
export interface TransportOptions extends Omit<Http2ListenerOptions, 'onConnection'>, CheckCallObserver {
  readonly check: CheckHandler;
  /** A connection is closed because its peer broke HTTP/2 or exceeded a limit. grpc-js does not report it. */
  readonly onConnectionError: (reason: string) => void;
  /** Concurrent calls per connection (SETTINGS_MAX_CONCURRENT_STREAMS). */
  readonly maxConcurrentStreams: number;
  /**
   * A connection gets a GOAWAY at about this age (±10 %), so that load spreads to new instances; calls in flight then
   * have {@link CONNECTION_AGE_GRACE_MS} to end. 0: no limit.
   */
  readonly maxConnectionAgeSeconds: number;
  /** Largest CheckRequest in bytes; a call with a larger one ends with RESOURCE_EXHAUSTED. */
  readonly maxMessageBytes: number;
  /** Largest header block of a call in bytes (RFC 9113 §6.5.2); a call with a larger one ends with RESOURCE_EXHAUSTED. */
  readonly maxMetadataBytes: number;
}

export interface Transport {
  /** @returns the bound address: with port 0, the port that the system chose. */
  listen(address: ListenAddress): Promise<ListenAddress>;
  /** Sets the health of the whole server (`""`) and of the Authorization service. Initially NOT_SERVING. */
  setServing(isServing: boolean): void;
  /** Uses this certificate for new connections; open ones keep theirs. */
  useTls(tls: TlsMaterial): void;
  /** Stops accepting connections, sends GOAWAY on open ones, and waits up to `graceMs` for calls in flight. */
  shutdown(graceMs: number): Promise<void>;
}

export type CreateTransport = (options: TransportOptions) => Transport;

export const AUTHORIZATION_SERVICE = 'envoy.service.auth.v3.Authorization';
export const CHECK_PATH = `/${AUTHORIZATION_SERVICE}/Check`;
export const CONNECTION_AGE_GRACE_MS = 10_000;
