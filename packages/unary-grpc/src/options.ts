/** What a server can be configured with, and the defaults. */
import type { Methods } from './grpc/method.ts';
import {
  DEFAULT_MAX_CONCURRENT_STREAMS,
  DEFAULT_MAX_HEADER_LIST_BYTES,
  DEFAULT_MAX_MESSAGE_BYTES,
  MAX_STREAM_WINDOW_BYTES,
  MIN_STREAM_WINDOW_BYTES,
} from './limits.ts';

export interface UnaryServerOptions {
  /** By path, such as `/package.Service/Method`. */
  readonly methods: Methods;
  /** The headers that handlers may read, in lower case. Default: none. */
  readonly headers?: readonly string[];
  /** Calls at a time per connection (SETTINGS_MAX_CONCURRENT_STREAMS). Default: 256. */
  readonly maxConcurrentStreams?: number;
  /** Default: 4 MiB. A call with a larger message ends with RESOURCE_EXHAUSTED. */
  readonly maxMessageBytes?: number;
  /** Size of the headers of a call as RFC 9113 §6.5.2 counts it. Default: 16 KiB. Larger: RESOURCE_EXHAUSTED. */
  readonly maxHeaderListBytes?: number;
  /** A connection gets a GOAWAY at about this age (±10 %). Default: never. */
  readonly maxConnectionAgeMs?: number;
  /** How long calls in flight may then take. Default: 10 s. */
  readonly maxConnectionAgeGraceMs?: number;
  /** A PING is sent on a connection without traffic for this long. Default: 10 s. */
  readonly keepaliveIntervalMs?: number;
  /** Closes a connection that sends nothing for this long after the PING. Default: 10 s. */
  readonly keepaliveTimeoutMs?: number;
  /** A handler threw or rejected; its call ended with INTERNAL. Default: ignored. */
  readonly onHandlerError?: (error: unknown) => void;
  /** A connection was closed because the client broke a rule or met a limit. For a log: the reason is in words. */
  readonly onConnectionError?: (reason: string) => void;
}

const NO_REPORT = (): void => undefined;

export type ServerSettings = ReturnType<typeof withDefaults>;

/** They must fit into a SETTINGS frame, or into the length of a message. */
const COUNTS = ['maxConcurrentStreams', 'maxMessageBytes', 'maxHeaderListBytes'] as const;
const MAX_COUNT = 2 ** 31 - 1;

/** @throws RangeError if an option is out of range. */
export function withDefaults(options: UnaryServerOptions) {
  for (const name of COUNTS) {
    const value = options[name] ?? 1;
    if (!Number.isInteger(value) || value < 1 || value > MAX_COUNT)
      throw new RangeError(`${name} must be an integer from 1 to ${MAX_COUNT}`);
  }
  const maxMessageBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
  return {
    methods: options.methods,
    headers: options.headers ?? [],
    maxConcurrentStreams: options.maxConcurrentStreams ?? DEFAULT_MAX_CONCURRENT_STREAMS,
    maxMessageBytes,
    streamWindowBytes: Math.min(
      MAX_STREAM_WINDOW_BYTES,
      Math.max(MIN_STREAM_WINDOW_BYTES, maxMessageBytes + 5),
    ),
    maxHeaderListBytes: options.maxHeaderListBytes ?? DEFAULT_MAX_HEADER_LIST_BYTES,
    maxConnectionAgeMs: options.maxConnectionAgeMs ?? Number.POSITIVE_INFINITY,
    maxConnectionAgeGraceMs: options.maxConnectionAgeGraceMs ?? 10_000,
    keepaliveIntervalMs: options.keepaliveIntervalMs ?? 10_000,
    keepaliveTimeoutMs: options.keepaliveTimeoutMs ?? 10_000,
    onHandlerError: options.onHandlerError ?? NO_REPORT,
    onConnectionError: options.onConnectionError ?? NO_REPORT,
  };
}
