/** One connection of a server, without sockets, timers or a clock: bytes in, requests and bytes out (RFC 9113). */
import { MAX_STREAM_ID } from '../limits.ts';
import type { Http2Error } from './error.ts';
import { growSendWindow } from './flow-control.ts';
import { FrameReader } from './frame-reader.ts';
import { checkFrameHeader, FLAG, FRAME, FRAME_HEADER_BYTES, isKnownType, readUint31 } from './frames.ts';
import { GlitchBucket } from './glitches.ts';
import { Output } from './output.ts';
import { Requests } from './requests.ts';
import type { Response } from './sender.ts';
import { applySettings, SETTING } from './settings.ts';
import { Shutdown } from './shutdown.ts';
import type { Stream } from './stream.ts';
import type { RequestOptions, StreamListener } from './stream-listener.ts';
import type { StreamTable } from './stream-table.ts';
import { VIOLATION } from './violations.ts';

const KEEPALIVE_PING = Buffer.from('keepaliv', 'latin1');

export class Connection<Call> {
  readonly #output = new Output();
  readonly glitches = new GlitchBucket();
  readonly #shutdown = new Shutdown(this.#output);
  readonly #requests: Requests<Call>;
  readonly #frames = new FrameReader((bytes, at, end) => this.#receive(bytes, at, end));
  #hasSettings = false;
  #isAcknowledged = false;
  #error: Http2Error | undefined;
  #ticks = 0;

  constructor(options: RequestOptions, listener: StreamListener<Call>) {
    this.#requests = new Requests(options, listener, this.#output, this.glitches);
    // §3.4: the server's preface, which may be sent before the client's.
    this.#output.settings([
      [SETTING.MAX_CONCURRENT_STREAMS, options.maxConcurrentStreams],
      [SETTING.INITIAL_WINDOW_SIZE, options.streamWindowBytes],
      [SETTING.MAX_HEADER_LIST_SIZE, options.maxHeaderListBytes],
    ]);
    this.#requests.receiver.openWindow();
  }

  /** The connection error that ended it. */
  get error(): Http2Error | undefined {
    return this.#error;
  }

  /** The client has sent its preface: the fixed bytes and SETTINGS (§3.4). */
  get hasPreface(): boolean {
    return this.#hasSettings;
  }

  /** The client has acknowledged our SETTINGS (§6.5.3). */
  get isAcknowledged(): boolean {
    return this.#isAcknowledged;
  }

  get isInHeaderBlock(): boolean {
    return this.#requests.headers.open !== undefined;
  }

  get isShuttingDown(): boolean {
    return this.#shutdown.hasBegun;
  }

  /** The final GOAWAY has been sent, and every stream before it has ended. */
  get isFinished(): boolean {
    return this.#shutdown.isFinal && this.activeStreams.size === 0;
  }

  get activeStreams(): Pick<StreamTable<Call>, 'get' | 'size' | 'values'> {
    return this.#requests.streams.active;
  }

  /** Reads what has arrived. After a connection error it is ignored (§5.4.1). */
  receive(bytes: Buffer, nowMs: number): void {
    if (this.#error !== undefined) return;
    this.glitches.leak(nowMs);
    const error = this.#frames.read(bytes);
    if (error !== undefined) this.fail(error);
    else if (this.#requests.streams.lastId > MAX_STREAM_ID) this.shutDown();
  }

  /** @returns what is to be written, or `undefined`. Call {@link recycleOutput} when it has been written. */
  takeOutput(): Buffer | undefined {
    return this.#output.take();
  }

  /** The same for bytes that have to wait until others have been written. Their memory is not recycled. */
  takeOutputCopy(): Buffer | undefined {
    return this.#output.takeCopy();
  }

  /** What `takeOutput` returned last has been written. */
  recycleOutput(): void {
    this.#output.recycle();
  }

  /** Answers a complete request. */
  answer(stream: Stream<Call>, response: Response): void {
    this.#requests.answer(stream, response, this.#ticks);
  }

  /** Answers a request, complete or not, with HEADERS alone. */
  answerWithoutBody(stream: Stream<Call>, block: Buffer): void {
    this.#requests.answerWithoutBody(stream, block);
  }

  /** A handler still runs for a stream that was reset; or it has ended, with -1. */
  countOrphan(change: 1 | -1): void {
    this.#requests.orphans += change;
  }

  /** §5.4.1. */
  fail(error: Http2Error): void {
    this.#error = error;
    this.#output.goAway(this.#requests.streams.lastId, error.code, error.reason);
    this.abandon();
  }

  /** The transport is closed: every stream ends as if it were reset. */
  abandon(): void {
    this.#requests.abandonAll();
  }

  /** Begins an orderly end (§6.8). */
  shutDown(): void {
    this.#shutdown.begin();
  }

  /** The second part of a shutdown: ignores streams that are opened from now on. */
  refuseStreams(): void {
    if (this.#shutdown.isFinal) return;
    const { streams } = this.#requests;
    streams.lastAcceptedId = streams.lastId;
    this.#shutdown.finish(streams.lastId);
  }

  ping(): void {
    this.#output.ping(0, KEEPALIVE_PING);
  }

  /** Time has passed. Resets streams whose response has been blocked for more than so many ticks. */
  tick(maxBlockedTicks: number): void {
    this.#ticks++;
    for (const { id, blocked } of this.#requests.sender.blocked) {
      if (blocked === undefined || this.#ticks - blocked.since <= maxBlockedTicks) continue;
      this.#requests.reset(id, VIOLATION.unreadResponse);
    }
  }

  /** A frame, from its header at `at` to `end`. */
  #receive(bytes: Buffer, at: number, end: number): Http2Error | undefined {
    const type = bytes[at + 3] as number;
    const flags = bytes[at + 4] as number;
    const streamId = readUint31(bytes, at + 5);
    if (!this.#hasSettings && (type !== FRAME.SETTINGS || (flags & FLAG.ACK) !== 0))
      return VIOLATION.noSettings;
    const { open } = this.#requests.headers;
    if (open !== undefined && (type !== FRAME.CONTINUATION || streamId !== open.streamId))
      return VIOLATION.noContinuation;
    // §5.5: ignored.
    if (!isKnownType(type)) return this.glitches.add('unknownFrame');
    const error =
      checkFrameHeader(type, end - at - FRAME_HEADER_BYTES, streamId) ??
      this.#dispatch(type, flags, streamId, bytes, at, end);
    if (error?.scope !== 'stream') return error ?? this.glitches.error;
    // §6.4: RST_STREAM is not sent for an idle stream. The error ends the connection instead.
    if (this.#requests.streams.stateOf(streamId) === 'idle') return error;
    this.#requests.reset(streamId, error);
    // A client that has not read our SETTINGS does not know the limit.
    const isUnaware = error === VIOLATION.tooManyStreams && !this.#isAcknowledged;
    if (isUnaware || error === VIOLATION.tooManyHandlers || error === VIOLATION.tooManyIncomplete)
      return undefined;
    return this.glitches.add('streamError');
  }

  #dispatch(
    type: number,
    flags: number,
    streamId: number,
    bytes: Buffer,
    at: number,
    end: number,
  ): Http2Error | undefined {
    const start = at + FRAME_HEADER_BYTES;
    switch (type) {
      case FRAME.DATA:
        return this.#requests.data(bytes, start, end, flags, streamId);
      case FRAME.HEADERS:
        return this.#requests.headersFrame(bytes, start, end, flags, streamId);
      case FRAME.CONTINUATION:
        return this.#requests.continuation(bytes, start, end, flags);
      case FRAME.WINDOW_UPDATE:
        return this.#windowUpdate(streamId, readUint31(bytes, start));
      case FRAME.RST_STREAM:
        return this.#requests.rstStream(streamId);
      case FRAME.SETTINGS:
        return this.#settings(bytes, start, end, flags);
      case FRAME.PING:
        return this.#ping(bytes.subarray(start, end), flags);
      case FRAME.PRIORITY:
        // §5.3.2: ignored.
        return readUint31(bytes, start) === streamId
          ? VIOLATION.dependsOnItself
          : this.glitches.add('priority');
      case FRAME.PUSH_PROMISE:
        return VIOLATION.push;
      default:
        // GOAWAY: the client accepts no streams of ours, and there are none (§6.8).
        return this.glitches.add('goAway');
    }
  }

  /** §6.5. */
  #settings(bytes: Buffer, start: number, end: number, flags: number): Http2Error | undefined {
    if ((flags & FLAG.ACK) !== 0) {
      if (end > start) return VIOLATION.settingsAckPayload;
      if (this.isAcknowledged) return this.glitches.add('settings');
      this.#isAcknowledged = true;
      return undefined;
    }
    const { sender, streams } = this.#requests;
    const windowBefore = sender.settings.initialWindowBytes;
    const error = applySettings(sender.settings, bytes, start, end);
    if (error !== undefined) return error;
    sender.tableSize.limit(sender.settings.minHeaderTableBytes);
    if (!sender.changeInitialWindow(windowBefore, streams.active.values())) return VIOLATION.connectionWindow;
    this.#output.settingsAck();
    this.#requests.resumeResponses();
    if (this.#hasSettings) return this.glitches.add('settings');
    this.#hasSettings = true;
    return undefined;
  }

  /** §6.7. */
  #ping(opaque: Buffer, flags: number): Http2Error | undefined {
    if ((flags & FLAG.ACK) === 0) this.#output.ping(FLAG.ACK, opaque);
    else if (this.#shutdown.isReply(opaque)) this.refuseStreams();
    return this.glitches.add('ping');
  }

  /** §6.9. */
  #windowUpdate(streamId: number, increment: number): Http2Error | undefined {
    this.glitches.add('windowUpdate');
    if (streamId !== 0) return this.#requests.windowUpdate(streamId, increment);
    if (increment === 0) return VIOLATION.connectionIncrement;
    if (!growSendWindow(this.#requests.sender, increment)) return VIOLATION.connectionWindow;
    this.#requests.resumeResponses();
    return undefined;
  }
}
