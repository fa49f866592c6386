/** A header block that is cut into HEADERS and CONTINUATION frames (RFC 9113 §4.3, §6.10). */
import { MAX_FRAME_BYTES, SPARE_CONTINUATIONS, SPARE_HEADER_BLOCK_BYTES } from '../limits.ts';
import type { Http2Error } from './error.ts';
import { VIOLATION } from './violations.ts';

export class HeaderBlock {
  readonly streamId: number;
  readonly isEndOfStream: boolean;
  readonly #maxBytes: number;
  readonly #fragments: Buffer[];
  #length: number;

  constructor(streamId: number, isEndOfStream: boolean, fragment: Buffer, maxHeaderListBytes: number) {
    this.streamId = streamId;
    this.isEndOfStream = isEndOfStream;
    this.#maxBytes = maxHeaderListBytes + SPARE_HEADER_BLOCK_BYTES;
    // A copy, since the buffer of the socket may be far larger.
    this.#fragments = [Buffer.from(fragment)];
    this.#length = fragment.length;
  }

  /** Adds the fragment of a CONTINUATION. */
  add(fragment: Buffer): Http2Error | undefined {
    this.#length += fragment.length;
    if (this.#length > this.#maxBytes) return VIOLATION.headerBlockTooLong;
    // Empty ones count as well: they would dodge a limit on bytes.
    const maxFragments = Math.ceil(this.#maxBytes / MAX_FRAME_BYTES) + SPARE_CONTINUATIONS;
    if (this.#fragments.push(Buffer.from(fragment)) > maxFragments) return VIOLATION.tooManyContinuations;
    return undefined;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#fragments, this.#length);
  }
}
