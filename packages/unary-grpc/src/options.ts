/** What a server can be configured with, and the defaults. */
import { GRPC_HEADERS } from './grpc/acceptance.ts';
import type { Methods } from './grpc/method.ts';
import { HTTP2_FIELDS, isFieldName } from './http2/request-fields.ts';
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
  /** The headers that handlers may read, in lower case; not those that the server reads itself. Default: none. */
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
  /** A handler threw or rejected; its call ended with INTERNAL. Must not throw. Default: ignored. */
  readonly onHandlerError?: (error: unknown) => void;
  /** A connection was closed because the client broke a rule or met a limit. For a log: the reason is in words. Must not throw. */
  readonly onConnectionError?: (reason: string) => void;
}

const NO_REPORT = (): void => undefined;

export type ServerSettings = ReturnType<typeof withDefaults>;

/** They must fit into a SETTINGS frame, or into the length of a message. */
const COUNTS = ['maxConcurrentStreams', 'maxMessageBytes', 'maxHeaderListBytes'] as const;
const MAX_COUNT = 2 ** 31 - 1;

const DURATIONS = [
  'maxConnectionAgeMs',
  'maxConnectionAgeGraceMs',
  'keepaliveIntervalMs',
  'keepaliveTimeoutMs',
] as const;

const READ_BY_SERVER: ReadonlySet<string> = new Set([...GRPC_HEADERS, ...HTTP2_FIELDS]);

/** @throws RangeError if an option is out of range. */
export function withDefaults(options: UnaryServerOptions) {
  const headers = [...new Set(options.headers)];
  checkNumbers(options);
  checkNames(headers);
  const maxMessageBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
  return {
    methods: options.methods,
    headers,
    maxConcurrentStreams: options.maxConcurrentStreams ?? DEFAULT_MAX_CONCURRENT_STREAMS,
    maxMessageBytes,
    streamWindowBytes: Math.min(
      MAX_STREAM_WINDOW_BYTES,
      Math.max(MIN_STREAM_WINDOW_BYTES, maxMessageBytes + 5),
    ),
    incompleteBytes: { count: 0 },
    maxHeaderListBytes: options.maxHeaderListBytes ?? DEFAULT_MAX_HEADER_LIST_BYTES,
    maxConnectionAgeMs: options.maxConnectionAgeMs ?? Number.POSITIVE_INFINITY,
    maxConnectionAgeGraceMs: options.maxConnectionAgeGraceMs ?? 10_000,
    keepaliveIntervalMs: options.keepaliveIntervalMs ?? 10_000,
    keepaliveTimeoutMs: options.keepaliveTimeoutMs ?? 10_000,
    onHandlerError: options.onHandlerError ?? NO_REPORT,
    onConnectionError: options.onConnectionError ?? NO_REPORT,
  };
}

function checkNumbers(options: UnaryServerOptions): void {
  for (const name of COUNTS) {
    const value = options[name] ?? 1;
    if (!Number.isInteger(value) || value < 1 || value > MAX_COUNT)
      throw new RangeError(`${name} must be an integer from 1 to ${MAX_COUNT}`);
  }
  for (const name of DURATIONS) {
    const value = options[name] ?? 1;
    if (!(value > 0)) throw new RangeError(`${name} must be a number above 0`);
  }
}

function checkNames(headers: readonly string[]): void {
  for (const name of headers) {
    if (READ_BY_SERVER.has(name)) throw new RangeError(`headers: ${name} is read by the server itself`);
    if (!isFieldName(name))
      throw new RangeError(`headers: ${JSON.stringify(name)} is not the name of a header in lower case`);
  }
}
