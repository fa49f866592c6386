/** The bytes that a connection is about to send: frames are serialized here, and taken as one buffer (RFC 9113 §4, §6). */
import { FLAG, FRAME, FRAME_HEADER_BYTES } from './frames.ts';

/** Enough for the responses to a read of 64 KiB, most times. */
const BUFFER_BYTES = 65_536;
/** For all connections together. More are needed only while peers are slow to read. */
const MAX_SPARE_BUFFERS = 4;

/** Allocating a buffer for each write was measured to cost a fifth of the CPU of a call. */
const spareBuffers: Buffer[] = [];

const EMPTY = Buffer.alloc(0);

export class Output {
  /** An idle connection has none. */
  #bytes: Buffer = EMPTY;
  #length = 0;
  #taken: Buffer = EMPTY;

  /** @returns the bytes since the last call, or `undefined`. */
  take(): Buffer | undefined {
    const length = this.#length;
    if (length === 0) return undefined;
    const bytes = this.#bytes;
    this.#taken = bytes;
    this.#bytes = EMPTY;
    this.#length = 0;
    return bytes.subarray(0, length);
  }

  /** The same, but without the rest of the buffer: for bytes that have to wait. */
  takeCopy(): Buffer | undefined {
    const length = this.#length;
    if (length === 0) return undefined;
    const copy = Buffer.from(this.#bytes.subarray(0, length));
    spare(this.#bytes);
    this.#bytes = EMPTY;
    this.#length = 0;
    return copy;
  }

  /** What `take` returned last has been written: its memory may be used again. */
  recycle(): void {
    spare(this.#taken);
    this.#taken = EMPTY;
  }

  /** §6.1: in two parts. */
  data(streamId: number, flags: number, first: Buffer, second: Uint8Array): void {
    this.#header(first.length + second.length, FRAME.DATA, flags, streamId);
    this.#bytes.set(first, this.#length);
    this.#bytes.set(second, this.#length + first.length);
    this.#length += first.length + second.length;
  }

  /** §6.2. The block must fit into one frame of the smallest size that a peer may require. */
  headers(streamId: number, flags: number, block: Buffer): void {
    this.#frame(FRAME.HEADERS, FLAG.END_HEADERS | flags, streamId, block);
  }

  /** §6.4. */
  rstStream(streamId: number, code: number): void {
    this.#header(4, FRAME.RST_STREAM, 0, streamId);
    this.#uint32(code);
  }

  /** §6.5. */
  settings(entries: readonly (readonly [id: number, value: number])[]): void {
    this.#header(6 * entries.length, FRAME.SETTINGS, 0, 0);
    for (const [id, value] of entries) {
      this.#length = this.#bytes.writeUInt16BE(id, this.#length);
      this.#uint32(value);
    }
  }

  settingsAck(): void {
    this.#header(0, FRAME.SETTINGS, FLAG.ACK, 0);
  }

  /** §6.7. @param opaque its eight bytes. */
  ping(flags: number, opaque: Buffer): void {
    this.#frame(FRAME.PING, flags, 0, opaque);
  }

  /** §6.8. */
  goAway(lastStreamId: number, code: number, reason: string): void {
    const debug = Buffer.from(reason, 'latin1');
    this.#header(8 + debug.length, FRAME.GOAWAY, 0, 0);
    this.#uint32(lastStreamId);
    this.#uint32(code);
    this.#bytes.set(debug, this.#length);
    this.#length += debug.length;
  }

  /** §6.9. */
  windowUpdate(streamId: number, increment: number): void {
    this.#header(4, FRAME.WINDOW_UPDATE, 0, streamId);
    this.#uint32(increment);
  }

  #frame(type: number, flags: number, streamId: number, payload: Buffer): void {
    this.#header(payload.length, type, flags, streamId);
    this.#bytes.set(payload, this.#length);
    this.#length += payload.length;
  }

  #header(length: number, type: number, flags: number, streamId: number): void {
    this.#reserve(FRAME_HEADER_BYTES + length);
    const bytes = this.#bytes;
    let at = this.#length;
    bytes[at++] = length >>> 16;
    bytes[at++] = length >>> 8;
    bytes[at++] = length;
    bytes[at++] = type;
    bytes[at++] = flags;
    bytes[at++] = streamId >>> 24;
    bytes[at++] = streamId >>> 16;
    bytes[at++] = streamId >>> 8;
    bytes[at++] = streamId;
    this.#length = at;
  }

  #uint32(value: number): void {
    this.#length = this.#bytes.writeUInt32BE(value, this.#length);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    if (this.#length === 0 && needed <= BUFFER_BYTES) {
      this.#bytes = spareBuffers.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
      return;
    }
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#length));
    spare(this.#bytes);
    this.#bytes = grown;
  }
}

function spare(buffer: Buffer): void {
  if (buffer.length === BUFFER_BYTES && spareBuffers.length < MAX_SPARE_BUFFERS) spareBuffers.push(buffer);
}
