/** Splits the bytes of a connection into frames, after its preface (RFC 9113 §3.4, §4.1, §4.2). */
import { MAX_FRAME_BYTES } from '../limits.ts';
import type { Http2Error } from './error.ts';
import { CLIENT_PREFACE, FRAME_HEADER_BYTES, readPayloadLength } from './frames.ts';
import { VIOLATION } from './violations.ts';

/** Receives each frame as `bytes` from its header at `at` to `end`. They do not change later, so a part may be kept. */
export type OnFrame = (bytes: Buffer, at: number, end: number) => Http2Error | undefined;

const EMPTY = Buffer.alloc(0);

export class FrameReader {
  readonly #onFrame: OnFrame;
  #prefaceBytes = 0;
  /** A frame whose end is still to come. */
  #partial = EMPTY;
  #partialBytes = 0;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  /** Whether the client sent the 24 bytes that say that it speaks HTTP/2. */
  get hasPreface(): boolean {
    return this.#prefaceBytes === CLIENT_PREFACE.length;
  }

  /** Reads frames up to the first that is a connection error. */
  read(bytes: Buffer): Http2Error | undefined {
    let at = 0;
    if (!this.hasPreface) {
      at = Math.min(bytes.length, CLIENT_PREFACE.length - this.#prefaceBytes);
      const expected = CLIENT_PREFACE.subarray(this.#prefaceBytes, this.#prefaceBytes + at);
      if (!expected.equals(bytes.subarray(0, at))) return VIOLATION.noPreface;
      this.#prefaceBytes += at;
    }
    if (this.#partialBytes > 0) {
      at = this.#fillPartial(bytes, at);
      const end = this.#partialEnd();
      if (end === undefined) return undefined;
      if (end > FRAME_HEADER_BYTES + MAX_FRAME_BYTES) return VIOLATION.frameTooLong;
      if (this.#partialBytes < end) return undefined;
      const frame = this.#partial;
      this.#partial = EMPTY;
      this.#partialBytes = 0;
      const error = this.#onFrame(frame, 0, end);
      if (error !== undefined) return error;
    }
    return this.#readWhole(bytes, at);
  }

  #readWhole(bytes: Buffer, from: number): Http2Error | undefined {
    let at = from;
    while (bytes.length - at >= FRAME_HEADER_BYTES) {
      const length = readPayloadLength(bytes, at);
      if (length > MAX_FRAME_BYTES) return VIOLATION.frameTooLong;
      const end = at + FRAME_HEADER_BYTES + length;
      if (end > bytes.length) break;
      const error = this.#onFrame(bytes, at, end);
      if (error !== undefined) return error;
      at = end;
    }
    if (at < bytes.length) this.#fillPartial(bytes, at);
    return undefined;
  }

  /** Copies at most up to the end of the frame. @returns where the rest begins. */
  #fillPartial(bytes: Buffer, from: number): number {
    let at = from;
    if (this.#partialBytes < FRAME_HEADER_BYTES) at = this.#copy(bytes, at, FRAME_HEADER_BYTES);
    const end = this.#partialEnd();
    if (end === undefined || end > FRAME_HEADER_BYTES + MAX_FRAME_BYTES) return at;
    return this.#copy(bytes, at, end);
  }

  #partialEnd(): number | undefined {
    if (this.#partialBytes < FRAME_HEADER_BYTES) return undefined;
    return FRAME_HEADER_BYTES + readPayloadLength(this.#partial, 0);
  }

  #copy(bytes: Buffer, from: number, upTo: number): number {
    const end = Math.min(bytes.length, from + upTo - this.#partialBytes);
    if (upTo > this.#partial.length) {
      const grown = Buffer.allocUnsafe(upTo);
      grown.set(this.#partial.subarray(0, this.#partialBytes));
      this.#partial = grown;
    }
    this.#partial.set(bytes.subarray(from, end), this.#partialBytes);
    this.#partialBytes += end - from;
    return end;
  }
}
