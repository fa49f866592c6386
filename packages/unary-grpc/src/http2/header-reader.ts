/** Reads HEADERS and CONTINUATION frames into field lists (RFC 9113 §4.3, §6.2, §6.10). */
import { HpackDecoder } from '../hpack/decoder.ts';
import { HPACK_ERRORS } from '../hpack/error.ts';
import { HEADER_LIST_EXCESS, HEADER_TABLE_BYTES } from '../limits.ts';
import { connectionError, type Http2Error } from './error.ts';
import { FLAG, readUint31 } from './frames.ts';
import { HeaderBlock } from './header-block.ts';
import { LastBlock } from './last-block.ts';
import type { RequestFields } from './request-fields.ts';
import { VIOLATION } from './violations.ts';

/** Where a header block starts and ends in the bytes of its frame. */
interface Fragment {
  start: number;
  end: number;
}

export class HeaderReader {
  readonly fields: RequestFields;
  /** A block whose END_HEADERS is still to come. */
  open: HeaderBlock | undefined;
  readonly #decoder = new HpackDecoder(HEADER_TABLE_BYTES);
  /** The block that `fields` holds, if it has left the dynamic table as it was. */
  readonly #last = new LastBlock();
  readonly #maxListBytes: number;
  readonly #fragment: Fragment = { start: 0, end: 0 };

  constructor(fields: RequestFields, maxListBytes: number) {
    this.fields = fields;
    this.#maxListBytes = maxListBytes;
  }

  /** Begins a block. @returns its bytes if it is complete, `undefined` if CONTINUATION must follow, or an error. */
  begin(
    bytes: Buffer,
    from: number,
    to: number,
    flags: number,
    streamId: number,
  ): Buffer | undefined | Http2Error {
    const error = this.#locate(bytes, from, to, flags, streamId);
    if (error !== undefined) return error;
    const fragment = bytes.subarray(this.#fragment.start, this.#fragment.end);
    if ((flags & FLAG.END_HEADERS) !== 0) return fragment;
    this.open = new HeaderBlock(streamId, (flags & FLAG.END_STREAM) !== 0, fragment, this.#maxListBytes);
    return undefined;
  }

  /** Padding and priority fields surround the fragment (§6.2). The latter are ignored (§5.3.2). */
  #locate(bytes: Buffer, from: number, to: number, flags: number, streamId: number): Http2Error | undefined {
    let start = from;
    let padding = 0;
    if ((flags & FLAG.PADDED) !== 0) {
      if (start === to) return VIOLATION.headersTooShort;
      padding = bytes[start++] as number;
    }
    if ((flags & FLAG.PRIORITY) !== 0) {
      if (to - start < 5) return VIOLATION.headersTooShort;
      if (readUint31(bytes, start) === streamId) return VIOLATION.dependsOnItself;
      start += 5;
    }
    if (padding > to - start) return VIOLATION.headersPadding;
    this.#fragment.start = start;
    this.#fragment.end = to - padding;
    return undefined;
  }

  /** Every block is decoded, also of a stream that is closed, since the dynamic table must stay in step (§4.3). */
  decode(block: Buffer, areTrailers: boolean): Http2Error | undefined {
    if (!areTrailers && this.#last.equals(block)) return undefined;
    const { fields } = this;
    this.#last.forget();
    const { tableChanges } = this.#decoder;
    fields.begin(areTrailers);
    const error = this.#decoder.decode(block, fields.add);
    if (error !== undefined) return connectionError('COMPRESSION_ERROR', HPACK_ERRORS[error]);
    if (fields.listBytes > HEADER_LIST_EXCESS * this.#maxListBytes) return VIOLATION.headerListTooLarge;
    fields.end();
    if (!areTrailers && this.#decoder.tableChanges === tableChanges) this.#last.remember(block);
    return undefined;
  }
}
