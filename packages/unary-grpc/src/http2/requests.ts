/** The requests of a connection: the frames of its streams, and the responses to them (RFC 9113 §5.1, §8.1). */
import { FREE_DATA_FRAMES, TINY_DATA_BYTES } from '../limits.ts';
import { type Http2Error, streamError } from './error.ts';
import { consume, growSendWindow } from './flow-control.ts';
import { FLAG, FRAME } from './frames.ts';
import type { GlitchBucket } from './glitches.ts';
import { HeaderReader } from './header-reader.ts';
import type { Output } from './output.ts';
import { Receiver } from './receiver.ts';
import { RequestFields } from './request-fields.ts';
import { type Response, Sender } from './sender.ts';
import { Stream, verdictOn } from './stream.ts';
import type { RequestOptions, StreamListener } from './stream-listener.ts';
import { Streams } from './streams.ts';
import { VIOLATION } from './violations.ts';

export class Requests<Call> {
  readonly streams = new Streams<Call>();
  readonly sender: Sender<Call>;
  readonly receiver: Receiver<Call>;
  readonly headers: HeaderReader;
  /** Handlers that still run for streams that were reset. They count as streams (CVE-2023-44487). */
  orphans = 0;
  readonly #options: RequestOptions;
  readonly #listener: StreamListener<Call>;
  readonly #output: Output;
  readonly #glitches: GlitchBucket;

  constructor(
    options: RequestOptions,
    listener: StreamListener<Call>,
    output: Output,
    glitches: GlitchBucket,
  ) {
    const { maxHeaderListBytes, streamWindowBytes, incompleteBytes, fieldNames } = options;
    this.#options = options;
    this.#listener = listener;
    this.#output = output;
    this.#glitches = glitches;
    this.headers = new HeaderReader(new RequestFields(maxHeaderListBytes, fieldNames), maxHeaderListBytes);
    this.sender = new Sender(output);
    this.receiver = new Receiver(output, streamWindowBytes, incompleteBytes);
  }

  /** §6.1. `from` to `to` is the payload. */
  data(bytes: Buffer, from: number, to: number, flags: number, streamId: number): Http2Error | undefined {
    const length = to - from;
    if (!this.receiver.arrived(length)) return VIOLATION.connectionOverrun;
    let start = from;
    let end = to;
    if ((flags & FLAG.PADDED) !== 0) {
      if (length === 0) return VIOLATION.dataTooShort;
      start++;
      end -= bytes[from] as number;
      if (start > end) return VIOLATION.dataPadding;
    }
    const stream = this.streams.active.get(streamId);
    const verdict = verdictOn(stream?.state ?? this.streams.stateOf(streamId), FRAME.DATA);
    if (stream !== undefined && verdict === 'accept') {
      const isLast = (flags & FLAG.END_STREAM) !== 0;
      // The window counts the whole frame, and the body what is not padding.
      return this.#body(stream, length, isLast, bytes, start, end);
    }
    // §6.9: what is dropped counts as well.
    this.receiver.release(length);
    if (typeof verdict === 'object') return verdict;
    if (end - start < TINY_DATA_BYTES) this.#glitches.add('lateFrame');
    return undefined;
  }

  #body(
    stream: Stream<Call>,
    length: number,
    isLast: boolean,
    bytes: Buffer,
    start: number,
    end: number,
  ): Http2Error | undefined {
    const isAllowed = consume(stream, length);
    stream.bodyBytes += end - start;
    const { bodyBytes, expectedBytes } = stream;
    const isTooLong = expectedBytes >= 0 && bodyBytes > expectedBytes;
    if (!isAllowed || isTooLong) {
      this.receiver.release(length);
      return isAllowed ? VIOLATION.contentLength : VIOLATION.streamOverrun;
    }
    if (isLast) {
      this.receiver.release(length);
      stream.state = 'half-closed (remote)';
      this.#listener.onData(stream, bytes, start, end);
      return this.#endOfRequest(stream);
    }
    if (++stream.dataFrames > FREE_DATA_FRAMES && end - start < TINY_DATA_BYTES)
      this.#glitches.add('tinyData');
    if (!this.receiver.keep(stream, length)) return VIOLATION.tooManyIncomplete;
    this.#listener.onData(stream, bytes, start, end);
    return undefined;
  }

  #endOfRequest(stream: Stream<Call>): Http2Error | undefined {
    this.receiver.settle(stream);
    // The listener may already have responded, which closes the stream.
    if (this.streams.active.get(stream.id) !== stream) return undefined;
    // §8.1.1.
    if (stream.expectedBytes >= 0 && stream.bodyBytes !== stream.expectedBytes)
      return VIOLATION.contentLength;
    stream.state = 'half-closed (remote)';
    this.#listener.onEnd(stream);
    return undefined;
  }

  /** §6.2. `start` to `end` is the payload. */
  headersFrame(
    bytes: Buffer,
    start: number,
    end: number,
    flags: number,
    streamId: number,
  ): Http2Error | undefined {
    if (streamId % 2 === 0) return VIOLATION.evenStream;
    const block = this.headers.begin(bytes, start, end, flags, streamId);
    if (!Buffer.isBuffer(block)) return block;
    return this.#headerBlock(streamId, block, (flags & FLAG.END_STREAM) !== 0);
  }

  /** §6.10. */
  continuation(bytes: Buffer, start: number, end: number, flags: number): Http2Error | undefined {
    const { open } = this.headers;
    if (open === undefined) return VIOLATION.loneContinuation;
    const error = open.add(bytes.subarray(start, end));
    if (error !== undefined || (flags & FLAG.END_HEADERS) === 0) return error;
    this.headers.open = undefined;
    return this.#headerBlock(open.streamId, open.bytes(), open.isEndOfStream);
  }

  #headerBlock(streamId: number, block: Buffer, isLast: boolean): Http2Error | undefined {
    const stream = this.streams.active.get(streamId);
    const { fields } = this.headers;
    const error = this.headers.decode(block, stream !== undefined);
    if (error !== undefined) return error;
    const verdict = verdictOn(stream?.state ?? this.streams.stateOf(streamId), FRAME.HEADERS);
    if (verdict === 'ignore') {
      this.#glitches.add('lateFrame');
      return undefined;
    }
    if (verdict !== 'accept') return verdict;
    if (stream === undefined) return this.#open(streamId, fields, isLast);
    // §8.1: trailers.
    if (!isLast) return VIOLATION.openTrailers;
    if (fields.problem !== undefined) return streamError('PROTOCOL_ERROR', fields.problem);
    return this.#endOfRequest(stream);
  }

  /** §5.1.1, §5.1.2. */
  #open(streamId: number, fields: RequestFields, isLast: boolean): Http2Error | undefined {
    this.streams.lastId = streamId;
    const { maxConcurrentStreams, streamWindowBytes } = this.#options;
    const { active } = this.streams;
    if (active.size + this.orphans >= maxConcurrentStreams) this.#listener.onFull();
    if (active.size >= maxConcurrentStreams) return VIOLATION.tooManyStreams;
    if (active.size + this.orphans >= maxConcurrentStreams) {
      this.#glitches.credit();
      return VIOLATION.tooManyHandlers;
    }
    // §8.1.1.
    if (fields.problem !== undefined) return streamError('PROTOCOL_ERROR', fields.problem);
    const sendable = this.sender.settings.initialWindowBytes;
    const stream = new Stream<Call>(streamId, sendable, streamWindowBytes, fields.contentLength);
    if (isLast) stream.state = 'half-closed (remote)';
    this.streams.open(stream);
    this.#listener.onRequest(stream, fields);
    return isLast ? this.#endOfRequest(stream) : undefined;
  }

  /** §6.4. */
  rstStream(streamId: number): Http2Error | undefined {
    const stream = this.streams.active.get(streamId);
    if (stream === undefined) return this.#late(streamId);
    if (stream.state === 'open') this.#glitches.add('earlyReset');
    this.streams.resetByPeer(streamId);
    this.#abandon(stream);
    return undefined;
  }

  /** §6.9. */
  windowUpdate(streamId: number, increment: number): Http2Error | undefined {
    const stream = this.streams.active.get(streamId);
    if (stream === undefined) return this.#late(streamId);
    if (increment === 0) return VIOLATION.streamIncrement;
    if (!growSendWindow(stream, increment)) return VIOLATION.streamWindow;
    if (stream.blocked !== undefined) this.resumeResponses();
    return undefined;
  }

  #late(streamId: number): Http2Error | undefined {
    const verdict = verdictOn(this.streams.stateOf(streamId), 'other');
    if (typeof verdict === 'object') return verdict;
    this.#glitches.add('lateFrame');
    return undefined;
  }

  resumeResponses(): void {
    this.sender.resume((stream) => this.#answered(stream));
  }

  /** Ends the stream once all of the response has been sent. */
  answer(stream: Stream<Call>, response: Response, tick: number): void {
    this.#glitches.credit();
    if (this.sender.answer(stream, response, tick)) this.#answered(stream);
  }

  /** A response without a body ("Trailers-Only"). The request need not be complete. */
  answerWithoutBody(stream: Stream<Call>, block: Buffer): void {
    if (stream.state === 'half-closed (remote)') this.#glitches.credit();
    this.sender.headersOnly(stream.id, block);
    this.#answered(stream);
  }

  #answered(stream: Stream<Call>): void {
    this.#listener.onAnswered(stream);
    if (stream.state === 'half-closed (remote)') {
      this.streams.end(stream.id);
      return;
    }
    // §8.1: asks the client to stop sending the request.
    this.#output.rstStream(stream.id, 0);
    this.streams.resetByUs(stream.id);
    this.receiver.settle(stream);
  }

  /** §5.4.2. The stream need not be active. */
  reset(streamId: number, error: Http2Error): void {
    this.#output.rstStream(streamId, error.code);
    const stream = this.streams.active.get(streamId);
    this.streams.resetByUs(streamId);
    if (stream !== undefined) this.#abandon(stream);
  }

  /** The connection has failed. */
  abandonAll(): void {
    for (const stream of this.streams.active.values()) this.#abandon(stream);
    this.streams.active.clear();
  }

  #abandon(stream: Stream<Call>): void {
    this.sender.blocked.delete(stream);
    this.receiver.settle(stream);
    this.#listener.onReset(stream);
  }
}
