/** One call, from its headers to its end. */
import type { Response } from '../http2/sender.ts';
import type { Stream } from '../http2/stream.ts';
import { PartialMessage, SECOND_MESSAGE, wholeMessage } from './message.ts';
import type { CallEnd, CallInfo, UnaryMethod } from './method.ts';
import { failureBlock } from './responses.ts';

const NOT_OBSERVED = (): void => undefined;

export class Call implements CallInfo {
  readonly stream: Stream<Call>;
  readonly path: string;
  readonly method: UnaryMethod;
  readonly deadlineMs: number;
  /** In ticks. */
  readonly startedAt: number;
  /** Set if the request is not gRPC; sent once the request is complete. */
  httpError: Response | undefined = undefined;
  message: Buffer | undefined = undefined;
  isEnded = false;
  /** The handler's response is there. Flow control may delay it. */
  isAnswered = false;
  /** The handler returned a promise that is not settled. */
  isRunning = false;
  #partial: PartialMessage | undefined = undefined;
  readonly #headerNames: readonly string[];
  readonly #headers: readonly (string | undefined)[];
  readonly #onEnded: (end: CallEnd) => void;

  constructor(
    stream: Stream<Call>,
    path: string,
    method: UnaryMethod,
    deadlineMs: number,
    startedAt: number,
    headerNames: readonly string[],
    headers: readonly (string | undefined)[],
  ) {
    this.stream = stream;
    this.path = path;
    this.method = method;
    this.deadlineMs = deadlineMs;
    this.startedAt = startedAt;
    this.#headerNames = headerNames;
    this.#headers = headers;
    this.#onEnded = method.onStarted?.() ?? NOT_OBSERVED;
  }

  header(name: string): string | undefined {
    return this.#headers[this.#headerNames.indexOf(name)];
  }

  /** A part of the message has arrived. @returns the response if the call fails. */
  receive(bytes: Buffer, from: number, to: number, maxMessageBytes: number): Buffer | undefined {
    if (this.#partial === undefined && this.message === undefined) {
      this.message = wholeMessage(bytes, from, to, maxMessageBytes);
      if (this.message !== undefined) return undefined;
    }
    if (from === to) return undefined;
    this.#partial ??= new PartialMessage(maxMessageBytes);
    if (this.message !== undefined) return SECOND_MESSAGE;
    const response = this.#partial.add(bytes, from, to);
    this.message = this.#partial.message;
    return response;
  }

  /** The request is complete. @returns the response if it is not a unary call. */
  complete(): Buffer | undefined {
    if (this.message !== undefined) return undefined;
    return this.#partial === undefined ? NO_MESSAGE : TRUNCATED;
  }

  end(end: CallEnd): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.#onEnded(end);
  }
}

const NO_MESSAGE = failureBlock({
  status: 'UNIMPLEMENTED',
  details: 'no request message for a unary method',
});
const TRUNCATED = failureBlock({ status: 'INTERNAL', details: 'request message is truncated' });
