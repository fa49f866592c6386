/** Sends responses as far as flow control allows, and the rest when it does (RFC 9113 §5.2, §6.9). */
import { TableSizeUpdate } from '../hpack/encoder.ts';
import { growSendWindow, INITIAL_WINDOW_BYTES } from './flow-control.ts';
import { FLAG } from './frames.ts';
import type { Output } from './output.ts';
import { initialSettings } from './settings.ts';
import type { BlockedResponse, Stream } from './stream.ts';

/** A complete response. Head and trailers are encoded header blocks, each shorter than the smallest frame. */
export interface Response {
  readonly head: Buffer;
  /** The body in two parts, which saves a copy. */
  readonly prefix: Buffer;
  readonly body: Uint8Array;
  /** `undefined`: there are none, and the body, which is not empty, ends the stream. */
  readonly trailers: Buffer | undefined;
}

export class Sender<Call> {
  readonly settings = initialSettings();
  readonly tableSize = new TableSizeUpdate();
  /** §6.9: of the connection. */
  sendable = INITIAL_WINDOW_BYTES;
  /** The streams whose responses wait for WINDOW_UPDATE. */
  readonly blocked = new Set<Stream<Call>>();
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Sends HEADERS alone. */
  headersOnly(streamId: number, block: Buffer): void {
    this.#headers(streamId, FLAG.END_STREAM, block);
  }

  /** @returns whether the response has been sent; otherwise a part of it waits. */
  answer(stream: Stream<Call>, { head, prefix, body, trailers }: Response, tick: number): boolean {
    this.#headers(stream.id, 0, head);
    const length = prefix.length + body.length;
    if (length > Math.min(this.sendable, stream.sendable, this.settings.maxFrameBytes)) {
      stream.blocked = { body: Buffer.concat([prefix, body]), sent: 0, trailers, since: tick };
      if (this.#resume(stream, stream.blocked)) return true;
      this.blocked.add(stream);
      return false;
    }
    this.sendable -= length;
    stream.sendable -= length;
    this.#output.data(stream.id, trailers === undefined ? FLAG.END_STREAM : 0, prefix, body);
    if (trailers !== undefined) this.#headers(stream.id, FLAG.END_STREAM, trailers);
    return true;
  }

  /** §6.9.2: changes the window of every stream. @returns whether all stay within their limit. */
  changeInitialWindow(before: number, streams: Iterable<Stream<Call>>): boolean {
    const change = this.settings.initialWindowBytes - before;
    for (const stream of streams) if (!growSendWindow(stream, change)) return false;
    return true;
  }

  /** A window has grown. Calls back for each stream whose response has been sent. */
  resume(onSent: (stream: Stream<Call>) => void): void {
    for (const stream of this.blocked) {
      if (stream.blocked === undefined || !this.#resume(stream, stream.blocked)) continue;
      this.blocked.delete(stream);
      onSent(stream);
    }
  }

  #resume(stream: Stream<Call>, response: BlockedResponse): boolean {
    while (response.sent < response.body.length) {
      const { maxFrameBytes } = this.settings;
      const length = Math.min(
        this.sendable,
        stream.sendable,
        maxFrameBytes,
        response.body.length - response.sent,
      );
      if (length <= 0) return false;
      const part = response.body.subarray(response.sent, response.sent + length);
      response.sent += length;
      const isLast = response.trailers === undefined && response.sent === response.body.length;
      this.#output.data(stream.id, isLast ? FLAG.END_STREAM : 0, part, NOTHING);
      this.sendable -= length;
      stream.sendable -= length;
    }
    stream.blocked = undefined;
    if (response.trailers !== undefined) this.#headers(stream.id, FLAG.END_STREAM, response.trailers);
    return true;
  }

  #headers(streamId: number, flags: number, block: Buffer): void {
    const update = this.tableSize.take();
    this.#output.headers(streamId, flags, update.length === 0 ? block : Buffer.concat([update, block]));
  }
}

const NOTHING = Buffer.alloc(0);
