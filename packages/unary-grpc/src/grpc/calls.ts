/** The calls of one connection, without sockets or timers: bytes in, handlers called, bytes out. */
import { Connection } from '../http2/connection.ts';
import type { RequestFields } from '../http2/request-fields.ts';
import type { Response } from '../http2/sender.ts';
import type { Stream } from '../http2/stream.ts';
import type { RequestOptions, StreamListener } from '../http2/stream-listener.ts';
import { GRPC_HEADERS, httpErrorOf, refusalOf, timeoutOf, UNKNOWN_METHOD } from './acceptance.ts';
import { Call } from './call.ts';
import { PREFIX_BYTES } from './message.ts';
import type { Methods, Result, UnaryMethod } from './method.ts';
import { failureBlock, OK_TRAILERS, RESPONSE_HEADERS } from './responses.ts';
import { type Failure, isFailure } from './status.ts';

export interface CallOptions {
  readonly methods: Methods;
  readonly maxMessageBytes: number;
  readonly maxHeaderListBytes: number;
  /** The headers that handlers may read. Others are not kept. */
  readonly headers: readonly string[];
  /** A handler threw or rejected. */
  readonly onHandlerError: (error: unknown) => void;
}

/** A client's own timer may end the call this long before the deadline, which is counted from the arrival here. */
const CLIENT_TIMER_SKEW_MS = 2;

const NO_HEADERS: readonly undefined[] = [];

/** Placeholder method for requests that are not gRPC. */
const NO_METHOD: UnaryMethod = { handle: () => HANDLER_FAILED };
const PAST_DEADLINE = failureBlock({ status: 'DEADLINE_EXCEEDED', details: 'deadline exceeded' });
const NO_MESSAGE_IN_TIME = failureBlock({
  status: 'DEADLINE_EXCEEDED',
  details: 'message not received in time',
});
const HANDLER_FAILED: Failure = { status: 'INTERNAL', details: 'internal error' };

export class Calls implements StreamListener<Call> {
  readonly connection: Connection<Call>;
  /** No call that is open has an earlier deadline. */
  earliestDeadlineMs = Number.POSITIVE_INFINITY;
  readonly #options: CallOptions;
  /** Responses have been written outside of `receive`, which the caller flushes. */
  readonly #onOutput: () => void;
  /** Complete requests. They are answered after all bytes have been read, so that a call that is reset in the same read runs no handler. */
  readonly #ready: Call[] = [];
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #nowMs = 0;
  #ticks = 0;

  constructor(
    options: CallOptions,
    limits: Pick<RequestOptions, 'maxConcurrentStreams' | 'streamWindowBytes' | 'incompleteBytes'>,
    onOutput: () => void,
  ) {
    this.#options = options;
    this.#onOutput = onOutput;
    const { maxHeaderListBytes, headers } = options;
    const fieldNames = [...GRPC_HEADERS, ...headers];
    const { maxConcurrentStreams, streamWindowBytes, incompleteBytes } = limits;
    this.connection = new Connection(
      { maxConcurrentStreams, streamWindowBytes, incompleteBytes, maxHeaderListBytes, fieldNames },
      this,
    );
  }

  receive(bytes: Buffer, nowMs: number): void {
    this.#nowMs = nowMs;
    this.connection.receive(bytes, nowMs);
    this.#runReady();
    if (this.connection.activeStreams.size === 0) this.earliestDeadlineMs = Number.POSITIVE_INFINITY;
  }

  /** Ends the calls whose deadline has passed. */
  expire(nowMs: number): void {
    this.earliestDeadlineMs = Number.POSITIVE_INFINITY;
    for (const { call } of this.connection.activeStreams.values()) {
      if (call === undefined || call.isAnswered) continue;
      if (call.deadlineMs <= nowMs) this.#endByDeadline(call);
      else this.earliestDeadlineMs = Math.min(this.earliestDeadlineMs, call.deadlineMs);
    }
  }

  /** Time has passed: ends the calls whose message has not been received for so many ticks. */
  tick(maxMessageTicks: number): void {
    this.#ticks++;
    for (const { state, call } of this.connection.activeStreams.values()) {
      if (state !== 'open' || call === undefined || call.isAnswered) continue;
      if (this.#ticks - call.startedAt > maxMessageTicks) this.#reject(call, NO_MESSAGE_IN_TIME);
    }
  }

  onRequest(stream: Stream<Call>, fields: RequestFields): void {
    const { methods, headers, maxHeaderListBytes } = this.#options;
    const httpError = httpErrorOf(fields);
    const refusal = httpError === undefined ? refusalOf(fields, maxHeaderListBytes) : undefined;
    const path = fields.path ?? '';
    const method = httpError === undefined ? methods.get(path) : NO_METHOD;
    if (method === undefined) {
      this.connection.glitches.add('rejected');
      this.connection.answerWithoutBody(stream, refusal ?? UNKNOWN_METHOD);
      return;
    }
    const timeoutMs = httpError === undefined ? timeoutOf(fields) : undefined;
    const deadlineMs = this.#nowMs + (timeoutMs ?? Number.POSITIVE_INFINITY);
    const call = new Call(stream, path, method, deadlineMs, this.#ticks, headers, this.#keep(fields));
    call.httpError = httpError;
    stream.call = call;
    if (refusal !== undefined) this.#reject(call, refusal);
    else if (deadlineMs < this.earliestDeadlineMs) this.earliestDeadlineMs = deadlineMs;
  }

  onData({ call }: Stream<Call>, bytes: Buffer, from: number, to: number): void {
    if (call === undefined || call.isEnded || call.httpError !== undefined) return;
    const rejection = call.receive(bytes, from, to, this.#options.maxMessageBytes);
    if (rejection !== undefined) this.#reject(call, rejection);
  }

  onEnd({ call }: Stream<Call>): void {
    if (call === undefined || call.isEnded) return;
    // A request that is not gRPC has no message, and gets its HTTP error.
    const rejection = call.complete();
    if (rejection === undefined) this.#ready.push(call);
    else this.#reject(call, rejection);
  }

  onFull(): void {
    this.#runReady();
  }

  onAnswered({ call }: Stream<Call>): void {
    call?.end('answered');
  }

  onReset({ call }: Stream<Call>): void {
    if (call === undefined) return;
    if (call.isRunning) this.connection.countOrphan(1);
    call.end(call.deadlineMs - CLIENT_TIMER_SKEW_MS <= this.#nowMs ? 'deadline' : 'cancelled');
  }

  #keep(fields: RequestFields): readonly (string | undefined)[] {
    const { headers } = this.#options;
    if (headers.length === 0) return NO_HEADERS;
    const kept = new Array<string | undefined>(headers.length);
    for (let index = 0; index < headers.length; index++) {
      kept[index] = fields.value(GRPC_HEADERS.length + index);
    }
    return kept;
  }

  #runReady(): void {
    try {
      for (const call of this.#ready) this.#run(call);
    } finally {
      this.#ready.length = 0;
    }
  }

  #run(call: Call): void {
    const { message } = call;
    if (call.isEnded || message === undefined) return;
    if (call.deadlineMs <= this.#nowMs) {
      this.#endByDeadline(call);
      return;
    }
    const result = this.#handle(call, message);
    if (result instanceof Promise) this.#await(call, result);
    else this.#answer(call, result);
  }

  #handle(call: Call, message: Buffer): Result | Promise<Result> {
    try {
      return call.method.handle(message, call);
    } catch (error) {
      this.#options.onHandlerError(error);
      return HANDLER_FAILED;
    }
  }

  #await(call: Call, result: Promise<Result>): void {
    call.isRunning = true;
    const settle = (settled: Result): void => {
      call.isRunning = false;
      if (call.isEnded) {
        // A call that ended by its deadline has been answered, and its stream no longer counts either.
        this.connection.countOrphan(-1);
        return;
      }
      this.#answer(call, settled);
      this.#onOutput();
    };
    result.then(settle, (error: unknown) => {
      this.#options.onHandlerError(error);
      settle(HANDLER_FAILED);
    });
  }

  #answer(call: Call, result: Result): void {
    call.isAnswered = true;
    if (!(result instanceof Uint8Array)) {
      this.connection.answerWithoutBody(call.stream, failureBlock(this.#checkFailure(result)));
      return;
    }
    this.#prefix.writeUInt32BE(result.length, 1);
    const response: Response = {
      head: RESPONSE_HEADERS,
      prefix: this.#prefix,
      body: result,
      trailers: OK_TRAILERS,
    };
    this.connection.answer(call.stream, response);
  }

  /** A handler in JavaScript may return anything. */
  #checkFailure(result: Failure): Failure {
    if (isFailure(result)) return result;
    this.#options.onHandlerError(new TypeError('a handler returned neither a Uint8Array nor a Failure'));
    return HANDLER_FAILED;
  }

  #reject(call: Call, block: Buffer): void {
    call.end('rejected');
    call.isAnswered = true;
    this.connection.glitches.add('rejected');
    if (call.httpError === undefined) this.connection.answerWithoutBody(call.stream, block);
    else this.connection.answer(call.stream, call.httpError);
  }

  #endByDeadline(call: Call): void {
    if (call.isRunning) this.connection.countOrphan(1);
    call.end('deadline');
    this.connection.answerWithoutBody(call.stream, PAST_DEADLINE);
  }
}
