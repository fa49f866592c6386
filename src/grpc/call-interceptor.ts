/** Tracks each gRPC call from its headers to its end, and rejects compressed or oversized ones by their headers. */
import { constants, type ServerHttp2Stream } from 'node:http2';
import { Metadata, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import type { MessageTimeout } from './message-timeout.ts';
import type { TrafficLimits } from './traffic-limits.ts';
import { CHECK_PATH, type CheckCallObserver } from './transport.ts';

/** grpc-js ends a call by a timer, which runs on another clock and may fire this long before the deadline. */
const TIMER_SKEW_MS = 2;
/** Node's own limit for a header block; calls above it do not reach grpc-js. */
const NODE_MAX_HEADER_BYTES = 65_535;

/** A call as an interceptor sees it: the side that is closer to the network. */
export type ServerCall = Parameters<ServerInterceptor>[1];
type Listener = Parameters<ServerCall['start']>[0];

interface InterceptorOptions extends CheckCallObserver {
  readonly maxMetadataBytes: number;
  readonly traffic: Pick<TrafficLimits, 'countCall'>;
  /** Must end a call with {@link endIncompleteCall}. */
  readonly messageTimeout: MessageTimeout<ServerCall>;
  /** Kept up to date with the open calls of other methods than Check. */
  readonly otherCalls: Set<ServerCall>;
}

export function createCallInterceptor(options: InterceptorOptions): ServerInterceptor {
  return ({ path }, call) => {
    options.traffic.countCall(streamOf(call));
    return path === CHECK_PATH ? new TrackedCheckCall(call, options) : trackOpenCall(call, options);
  };
}

/** grpc-js passes interceptors the call itself, which keeps its stream in this field. */
function streamOf(call: ServerCall): ServerHttp2Stream {
  return (call as unknown as { readonly stream: ServerHttp2Stream }).stream;
}

/** Also resets the stream: the part of the message that has arrived is kept until the stream is closed. */
export function endIncompleteCall(call: ServerCall): void {
  call.sendStatus({ code: status.DEADLINE_EXCEEDED, details: 'message not received in time' });
  streamOf(call).close(constants.NGHTTP2_CANCEL);
}

/** A server that rejects an encoding says which ones it accepts (gRPC compression guide). */
const ACCEPTED_ENCODINGS = new Metadata();
ACCEPTED_ENCODINGS.set('grpc-accept-encoding', 'identity');

/** @returns whether the call was rejected. Nothing of its message has been read then. */
function rejectByHeaders(call: ServerCall, metadata: Metadata, maxMetadataBytes: number): boolean {
  if (isCompressed(call)) {
    const details = 'unsupported grpc-encoding; only identity is accepted';
    call.sendStatus({ code: status.UNIMPLEMENTED, details, metadata: ACCEPTED_ENCODINGS });
    return true;
  }
  // Checked before the message arrives: calls held open without a message hold their headers as well.
  if (isOverLimit(metadata, maxMetadataBytes)) {
    const details = `headers exceed ${maxMetadataBytes} bytes`;
    call.sendStatus({ code: status.RESOURCE_EXHAUSTED, details });
    return true;
  }
  return false;
}

/**
 * Compressed messages are never decompressed: 150 messages of 4 KB could expand to 1 GiB, and Envoy does not compress
 * checks. grpc-js removes `grpc-encoding` from the metadata but keeps its value in this field.
 */
function isCompressed(call: ServerCall): boolean {
  return (call as { readonly incomingEncoding?: unknown }).incomingEncoding !== 'identity';
}

/** RFC 9113 §6.5.2 defines the size: 32 bytes of overhead for each field on top of name and value. */
function isOverLimit(metadata: Metadata, maxMetadataBytes: number): boolean {
  if (maxMetadataBytes >= NODE_MAX_HEADER_BYTES) return false;
  let bytes = 0;
  for (const [name, values] of Object.entries(metadata.toJSON())) {
    for (const value of values) bytes += name.length + value.length + 32;
  }
  return bytes > maxMetadataBytes;
}

/** Adds the call when its headers arrive, because grpc-js does not report the end of a call that was reset before. */
function trackOpenCall(
  call: ServerCall,
  { maxMetadataBytes, messageTimeout, otherCalls }: InterceptorOptions,
): ServerInterceptingCall {
  let slot: number | undefined;
  const clearTimeoutOnce = (): void => {
    if (slot !== undefined) messageTimeout.clear(slot);
    slot = undefined;
  };
  return new ServerInterceptingCall(call, {
    start: (next) =>
      next({
        onReceiveMetadata(metadata, receive) {
          if (rejectByHeaders(call, metadata, maxMetadataBytes)) return;
          otherCalls.add(call);
          slot = messageTimeout.start(call);
          receive(metadata);
        },
        onReceiveMessage(message, receive) {
          clearTimeoutOnce();
          receive(message);
        },
        onCancel() {
          otherCalls.delete(call);
          clearTimeoutOnce();
        },
      }),
  });
}

/**
 * Tracks a check from its headers to its end. The handler cannot: it is not called for a check that is cancelled before
 * its message is complete. Overrides the methods of both directions, because the closures of the superclass cost CPU.
 */
class TrackedCheckCall extends ServerInterceptingCall implements Listener {
  readonly #call: ServerCall;
  readonly #options: InterceptorOptions;
  #handler: Listener | undefined;
  #onEnded: (() => void) | undefined;
  /** Of the message timeout; -1 while the call is not waiting for its message. */
  #slot = -1;
  #isMessageComplete = false;
  #isAnswered = false;

  constructor(call: ServerCall, options: InterceptorOptions) {
    super(call);
    this.#call = call;
    this.#options = options;
  }

  override start(handler: Listener): void {
    this.#handler = handler;
    this.#call.start(this);
    // grpc-js does not start a call that is reset in the same packet that opened it.
    if (this.#onEnded === undefined) this.#options.onAbandoned('cancelled');
  }

  onReceiveMetadata(metadata: Parameters<Listener['onReceiveMetadata']>[0]): void {
    this.#onEnded = this.#options.onStarted();
    if (rejectByHeaders(this.#call, metadata, this.#options.maxMetadataBytes)) return;
    this.#slot = this.#options.messageTimeout.start(this.#call);
    this.#handler?.onReceiveMetadata(metadata);
  }

  #clearMessageTimeout(): void {
    if (this.#slot < 0) return;
    this.#options.messageTimeout.clear(this.#slot);
    this.#slot = -1;
  }

  onReceiveMessage(message: unknown): void {
    this.#isMessageComplete = true;
    this.#clearMessageTimeout();
    this.#handler?.onReceiveMessage(message);
  }

  onReceiveHalfClose(): void {
    this.#handler?.onReceiveHalfClose();
  }

  /** grpc-js calls this at the end of every call, cancelled or not. */
  onCancel(): void {
    this.#onEnded?.();
    this.#clearMessageTimeout();
    if (!this.#isAnswered) this.#options.onAbandoned(this.#isPastDeadline() ? 'deadline' : 'cancelled');
    this.#handler?.onCancel();
  }

  #isPastDeadline(): boolean {
    return Number(this.#call.getDeadline()) - TIMER_SKEW_MS <= Date.now();
  }

  override sendMetadata(metadata: Parameters<ServerCall['sendMetadata']>[0]): void {
    this.#call.sendMetadata(metadata);
  }

  override sendMessage(message: unknown, callback: () => void): void {
    this.#call.sendMessage(message, callback);
  }

  override sendStatus(status: Parameters<ServerCall['sendStatus']>[0]): void {
    // grpc-js also sends a status to a call that was reset before its message was complete.
    this.#isAnswered = this.#isMessageComplete;
    this.#call.sendStatus(status);
  }
}
