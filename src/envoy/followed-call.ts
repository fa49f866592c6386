/** Owns the life of a check's call: that it has started, that it has ended, and whether it was answered by then. */
import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';

type NextCall = Parameters<ServerInterceptor>[1];
type Listener = Parameters<NextCall['start']>[0];

export interface CallObserver {
  /** A call has arrived; the function that it returns is called when it has ended. */
  readonly onStarted: () => () => void;
  /** A call ended before it was answered: given up by the client (or not readable, or too large), or at its deadline. */
  readonly onCancelled: (cause: 'cancelled' | 'deadline') => void;
}

/**
 * Follows each call of a method from its headers to its end: many a call that is given up never comes to the handler,
 * as its message is not whole.
 */
export function followCalls(path: string, observer: CallObserver): ServerInterceptor {
  return (method, call) =>
    method.path === path ? new FollowedCall(call, observer) : new ServerInterceptingCall(call);
}

/** Whether the call's deadline (`grpc-timeout`) has passed. */
export function hasExpired(call: Pick<NextCall, 'getDeadline'>): boolean {
  const deadline = call.getDeadline();
  return deadline !== Number.POSITIVE_INFINITY && Number(deadline) <= Date.now();
}

/** Stands between library and handler in both directions itself: the closures that its parent makes cost CPU. */
class FollowedCall extends ServerInterceptingCall implements Listener {
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
    if (this.#onEnded === undefined) this.#observer.onCancelled('cancelled');
  }

  onReceiveMetadata(metadata: Parameters<Listener['onReceiveMetadata']>[0]): void {
    this.#onEnded = this.#observer.onStarted();
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
    if (!this.#isAnswered) this.#observer.onCancelled(hasExpired(this.#call) ? 'deadline' : 'cancelled');
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
