/** Carries one Check call of grpc-js from its headers to its end. */
import { type Metadata, ServerInterceptingCall, status } from '@grpc/grpc-js';
import { type MessageTimeout, NO_SLOT } from './message-timeout.ts';
import { type CallListener, rejectByHeaders, type ServerCall } from './server-call.ts';
import type { CheckCallObserver, CheckHandler } from './transport.ts';

/** grpc-js ends a call by a timer, which runs on another clock and may fire this long before the deadline. */
const TIMER_SKEW_MS = 2;

const OK = { code: status.OK, details: 'OK' };
const NO_MESSAGE = { code: status.UNIMPLEMENTED, details: 'no request message for a unary method' };
const SECOND_MESSAGE = { code: status.UNIMPLEMENTED, details: 'second request message for a unary method' };

export interface CheckCallOptions extends CheckCallObserver {
  readonly check: CheckHandler;
  readonly maxMetadataBytes: number;
  /** Must end a call with `endIncompleteCall`. */
  readonly messageTimeout: MessageTimeout<ServerCall>;
}

/**
 * Answers the call itself, as interceptors may (gRFC L112): the unary handler of grpc-js costs a check several µs, and
 * it is not called for a check that is cancelled before its message is complete.
 */
export class CheckCall extends ServerInterceptingCall implements CallListener {
  readonly #call: ServerCall;
  readonly #options: CheckCallOptions;
  #onEnded: (() => void) | undefined;
  #traceparent: string | undefined;
  #message: Buffer | undefined;
  /** Of the message timeout. */
  #slot = NO_SLOT;
  #isCancelled = false;
  #isAnswered = false;

  constructor(call: ServerCall, options: CheckCallOptions) {
    super(call);
    this.#call = call;
    this.#options = options;
  }

  override start(): void {
    this.#call.start(this);
    // grpc-js does not start a call that is reset in the same packet that opened it.
    if (this.#onEnded === undefined) this.#options.onAbandoned('cancelled');
  }

  onReceiveMetadata(metadata: Metadata): void {
    this.#onEnded = this.#options.onStarted();
    if (rejectByHeaders(this.#call, metadata, this.#options.maxMetadataBytes)) return;
    this.#traceparent = metadata.get('traceparent')[0]?.toString();
    this.#slot = this.#options.messageTimeout.start(this.#call);
    this.#call.startRead();
  }

  onReceiveMessage(message: Buffer): void {
    this.#options.messageTimeout.clear(this.#slot, this.#call);
    if (this.#message !== undefined) {
      this.#end(SECOND_MESSAGE);
      return;
    }
    this.#message = message;
    // The next read is the end of the request, unless it is a second message.
    this.#call.startRead();
  }

  onReceiveHalfClose(): void {
    const message = this.#message;
    // grpc-js keeps the call for a while after its end: the message must not stay in memory with it.
    this.#message = undefined;
    if (message === undefined) this.#call.sendStatus(NO_MESSAGE);
    else if (!this.#isAbandoned()) this.#answer(message);
  }

  #answer(message: Buffer): void {
    const info = { traceparent: this.#traceparent, deadlineMs: this.#deadlineMs() };
    const response = this.#options.check(message, info);
    if (!(response instanceof Promise)) {
      this.#send(response);
      return;
    }
    void response.then((resolved) => {
      if (!this.#isAbandoned()) this.#send(resolved);
    });
  }

  #send(response: Buffer): void {
    this.#call.sendMessage(response, () => this.#end(OK));
  }

  #end(callStatus: Parameters<ServerCall['sendStatus']>[0]): void {
    this.#isAnswered = true;
    this.#call.sendStatus(callStatus);
  }

  /** grpc-js calls this at the end of every call, cancelled or not. */
  onCancel(): void {
    this.#isCancelled = true;
    this.#onEnded?.();
    this.#options.messageTimeout.clear(this.#slot, this.#call);
    if (this.#isAnswered) return;
    const isPastDeadline = this.#deadlineMs() - TIMER_SKEW_MS <= Date.now();
    this.#options.onAbandoned(isPastDeadline ? 'deadline' : 'cancelled');
  }

  #isAbandoned(): boolean {
    return this.#isCancelled || this.#deadlineMs() <= Date.now();
  }

  #deadlineMs(): number {
    return Number(this.#call.getDeadline());
  }
}
