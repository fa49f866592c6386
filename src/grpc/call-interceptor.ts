/** Follows each gRPC call from its headers to its end, and refuses by its headers one that is compressed or too large. */
import { Metadata, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import { hasExpired } from './check-call.ts';

/** By so much a timer, which runs on another clock, may end a call before its deadline has come. */
const EARLY_TIMER_MS = 2;
/** Most bytes of headers that Node takes by itself; a call with more never reaches us. */
const NODE_MAX_HEADER_BYTES = 65_535;

export type NextCall = Parameters<ServerInterceptor>[1];
type Listener = Parameters<NextCall['start']>[0];

export interface CallObserver {
  /** A check has arrived; the function that it returns is called when it has ended. */
  readonly onStarted: () => () => void;
  /** A check ended before it was answered: given up by the client (or not readable, or too large), or at its deadline. */
  readonly onAbandoned: (cause: 'cancelled' | 'deadline') => void;
  /** Most bytes of a call's HTTP/2 headers (RFC 9113 §10.5.1); a call with more ends as RESOURCE_EXHAUSTED. */
  readonly maxMetadataBytes: number;
}

/** @param otherCalls gets every open call that is no check. */
export function createInterceptor(
  checkPath: string,
  observer: CallObserver,
  otherCalls: Set<NextCall>,
): ServerInterceptor {
  return ({ path }, call) =>
    path === checkPath ? new TrackedCall(call, observer) : kept(call, observer.maxMetadataBytes, otherCalls);
}

/** gRPC's compression guide has a server say what it accepts where it refuses. */
const ACCEPTED = new Metadata();
ACCEPTED.set('grpc-accept-encoding', 'identity');

/** Answers a call that is refused, before anything of its message is read. */
function isRefused(call: NextCall, metadata: Metadata, maxMetadataBytes: number): boolean {
  if (isCompressed(call)) {
    const details = 'only grpc-encoding identity is accepted';
    call.sendStatus({ code: status.UNIMPLEMENTED, details, metadata: ACCEPTED });
    return true;
  }
  // By its headers, as calls that are held open without a message hold them too.
  if (isOverLimit(metadata, maxMetadataBytes)) {
    call.sendStatus({
      code: status.RESOURCE_EXHAUSTED,
      details: `headers of over ${maxMetadataBytes} bytes`,
    });
    return true;
  }
  return false;
}

/**
 * Never unpacked: 150 messages of 4 KB could claim 1 GiB, and Envoy does not compress checks. grpc-js takes
 * `grpc-encoding` out of the metadata, but keeps it in this field.
 */
function isCompressed(call: NextCall): boolean {
  return (call as { readonly incomingEncoding?: unknown }).incomingEncoding !== 'identity';
}

/** Sizes as RFC 9113 §10.5.1 counts them: 32 bytes for each field beside its text. */
function isOverLimit(metadata: Metadata, maxMetadataBytes: number): boolean {
  if (maxMetadataBytes >= NODE_MAX_HEADER_BYTES) return false;
  let bytes = 0;
  for (const [name, values] of Object.entries(metadata.toJSON())) {
    for (const value of values) bytes += name.length + value.length + 32;
  }
  return bytes > maxMetadataBytes;
}

/** Puts the call among the open ones from its begin, which one that was reset at once does not have, to its end. */
function kept(call: NextCall, maxMetadataBytes: number, open: Set<NextCall>): ServerInterceptingCall {
  return new ServerInterceptingCall(call, {
    start: (next) =>
      next({
        onReceiveMetadata(metadata, receive) {
          if (isRefused(call, metadata, maxMetadataBytes)) return;
          open.add(call);
          receive(metadata);
        },
        onCancel: () => void open.delete(call),
      }),
  });
}

/**
 * Follows each check from its headers to its end: many a call that is given up never comes to the handler, as its
 * message is not whole. Stands between library and handler in both directions itself: the closures that its parent
 * makes cost CPU.
 */
class TrackedCall extends ServerInterceptingCall implements Listener {
  readonly #call: NextCall;
  readonly #observer: CallObserver;
  #handler: Listener | undefined;
  #onEnded: (() => void) | undefined;
  #isWhole = false;
  #isAnswered = false;

  constructor(call: NextCall, observer: CallObserver) {
    super(call);
    this.#call = call;
    this.#observer = observer;
  }

  override start(handler: Listener): void {
    this.#handler = handler;
    this.#call.start(this);
    // Reset in the packet that brought it: grpc-js does not begin with it.
    if (this.#onEnded === undefined) this.#observer.onAbandoned('cancelled');
  }

  onReceiveMetadata(metadata: Parameters<Listener['onReceiveMetadata']>[0]): void {
    this.#onEnded = this.#observer.onStarted();
    if (isRefused(this.#call, metadata, this.#observer.maxMetadataBytes)) return;
    this.#handler?.onReceiveMetadata(metadata);
  }

  onReceiveMessage(message: unknown): void {
    this.#isWhole = true;
    this.#handler?.onReceiveMessage(message);
  }

  onReceiveHalfClose(): void {
    this.#handler?.onReceiveHalfClose();
  }

  /** grpc-js calls this at the end of every call, whether it was cancelled or not. */
  onCancel(): void {
    this.#onEnded?.();
    // grpc-js ends a call at its deadline by itself.
    if (!this.#isAnswered)
      this.#observer.onAbandoned(hasExpired(this.#call, EARLY_TIMER_MS) ? 'deadline' : 'cancelled');
    this.#handler?.onCancel();
  }

  override sendMetadata(metadata: Parameters<NextCall['sendMetadata']>[0]): void {
    this.#call.sendMetadata(metadata);
  }

  override sendMessage(message: unknown, callback: () => void): void {
    this.#call.sendMessage(message, callback);
  }

  override sendStatus(status: Parameters<NextCall['sendStatus']>[0]): void {
    // grpc-js also answers a call that was reset before its message was whole, as one without a message.
    this.#isAnswered = this.#isWhole;
    this.#call.sendStatus(status);
  }
}
