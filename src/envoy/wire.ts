/** Reads the protobuf wire format (protobuf.dev/programming-guides/encoding) without copying. */
import { shortVarint, sizeOf } from './short-varint.ts';

/** The message does not decode. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

export const WIRE_TYPE = {
  varint: 0,
  fixed64: 1,
  lengthDelimited: 2,
  startGroup: 3,
  endGroup: 4,
  fixed32: 5,
} as const;

const MAX_GROUP_DEPTH = 100;
/** Longer than any path or host that is compared with anything. */
const MAX_UTF8_BYTES = 8192;

/** The tag of a string, bytes or message field. A field of another wire type counts as unknown, as in every parser. */
export function lengthDelimited(fieldNumber: number): number {
  return (fieldNumber << 3) | WIRE_TYPE.lengthDelimited;
}

/** Not a tag: field numbers begin at 1. */
export const NO_TAG = 0;

/** Where the key of a pair is. */
export interface KeySpan {
  keyStart: number;
  keyEnd: number;
}

/** Reads one field of a message into `into`, or calls {@link WireReader.skip}. */
export type FieldReader<T> = (reader: WireReader, tag: number, into: T) => void;

/** A part of the message. */
export interface Span {
  start: number;
  end: number;
}

/** A cursor over a message and the messages nested in it. */
export class WireReader {
  readonly #bytes: Buffer;
  #position = 0;
  #end: number;

  constructor(message: Buffer) {
    this.#bytes = message;
    this.#end = message.length;
  }

  /** Reads every field up to the end of the message. */
  fields<T>(readField: FieldReader<T>, into: T): T {
    while (this.#position < this.#end) readField(this, this.#tag(), into);
    return into;
  }

  /** Reads the nested message whose tag was just read. */
  message<T>(readField: FieldReader<T>, into: T): T {
    const outerEnd = this.enter();
    this.fields(readField, into);
    this.leave(outerEnd);
    return into;
  }

  /**
   * Enters the nested message whose tag was just read, to read its fields with {@link nextTag}: faster than a call for
   * each field. @returns the end of the outer message, for {@link leave}.
   */
  enter(): number {
    const length = this.#uint32();
    const outerEnd = this.#end;
    this.#end = this.#endAfter(length);
    return outerEnd;
  }

  /** Leaves a nested message that was read to its end. */
  leave(outerEnd: number): void {
    this.#end = outerEnd;
  }

  /**
   * Reads a pair as every serializer writes it, in one go, since a request has many: a key, a value, and nothing else.
   * @returns false for any other pair, of which nothing is read then.
   */
  plainPair(keyTag: number, valueTag: number, pair: KeySpan & Span): boolean {
    const bytes = this.#bytes;
    const length = shortVarint(bytes, this.#position);
    const first = this.#position + sizeOf(length);
    const end = first + length;
    if (length < 0 || end > this.#end || bytes[first] !== keyTag) return false;
    const keyLength = shortVarint(bytes, first + 1);
    const keyStart = first + 1 + sizeOf(keyLength);
    const keyEnd = keyStart + keyLength;
    if (keyLength < 0 || keyEnd >= end || bytes[keyEnd] !== valueTag) return false;
    const valueLength = shortVarint(bytes, keyEnd + 1);
    const valueStart = keyEnd + 1 + sizeOf(valueLength);
    if (valueLength < 0 || valueStart + valueLength !== end) return false;
    pair.keyStart = keyStart;
    pair.keyEnd = keyEnd;
    pair.start = valueStart;
    pair.end = end;
    this.#position = end;
    return true;
  }

  /** The tag of the next field; {@link NO_TAG} at the end of the message. */
  nextTag(): number {
    return this.#position < this.#end ? this.#tag() : NO_TAG;
  }

  /**
   * Skips a length-delimited field and notes where it is, since it may not be needed. An empty field counts as absent:
   * it does not replace another.
   */
  mark(span: Span): void {
    const start = this.#skipLengthDelimited();
    if (start === this.#position) return;
    span.start = start;
    span.end = this.#position;
  }

  /** As {@link mark}, for the key of a pair. */
  markKey(pair: KeySpan): void {
    pair.keyStart = this.#skipLengthDelimited();
    pair.keyEnd = this.#position;
  }

  /** The bytes of a marked field: a view, not a copy. */
  view({ start, end }: Span): Buffer {
    return this.#bytes.subarray(start, end);
  }

  /**
   * A string field; invalid UTF-8 becomes U+FFFD, since Envoy may send any bytes. A long one is read as latin1: to decode
   * 60 KiB of UTF-8 takes as long as several checks, and the sender chooses the length.
   */
  utf8(): string {
    const start = this.#skipLengthDelimited();
    const encoding = this.#position - start > MAX_UTF8_BYTES ? 'latin1' : 'utf8';
    return this.#bytes.toString(encoding, start, this.#position);
  }

  byteAt(position: number): number | undefined {
    return this.#bytes[position];
  }

  /** Whether `name`, in lower case, is at a position; ASCII letters in any case. */
  isName(start: number, name: string): boolean {
    for (let index = 0; index < name.length; index++) {
      const byte = this.#bytes[start + index] ?? 0;
      const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
      if (lower !== name.charCodeAt(index)) return false;
    }
    return true;
  }

  /** One character per byte. */
  latin1(start: number, end: number): string {
    return this.#bytes.toString('latin1', start, end);
  }

  /** Skips an unknown field. */
  skip(tag: number, depth = 0): void {
    switch (tag & 7) {
      case WIRE_TYPE.varint:
        this.#skipVarint();
        return;
      case WIRE_TYPE.fixed64:
        this.#position = this.#endAfter(8);
        return;
      case WIRE_TYPE.fixed32:
        this.#position = this.#endAfter(4);
        return;
      case WIRE_TYPE.lengthDelimited:
        this.#skipLengthDelimited();
        return;
      case WIRE_TYPE.startGroup:
        this.#skipGroup(tag >>> 3, depth + 1);
        return;
      default:
        throw new WireError(`unexpected wire type ${tag & 7}`);
    }
  }

  #skipGroup(fieldNumber: number, depth: number): void {
    if (depth > MAX_GROUP_DEPTH) throw new WireError('groups nested too deeply');
    while (this.#position < this.#end) {
      const tag = this.#tag();
      if ((tag & 7) === WIRE_TYPE.endGroup && tag >>> 3 === fieldNumber) return;
      this.skip(tag, depth);
    }
    throw new WireError('unterminated group');
  }

  #tag(): number {
    const tag = this.#uint32();
    if (tag >>> 3 === 0) throw new WireError('field number 0');
    return tag;
  }

  #skipLengthDelimited(): number {
    const length = this.#uint32();
    const start = this.#position;
    this.#position = this.#endAfter(length);
    return start;
  }

  #skipVarint(): void {
    for (let read = 0; read < 10; read++) if (this.#byte() < 0x80) return;
    throw new WireError('varint over ten bytes');
  }

  #uint32(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    for (let shift = 7; shift < 35; shift += 7) {
      const byte = this.#byte();
      // Not `<<`: a length over 2 GiB would become negative.
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        if (value > 0xffff_ffff) break;
        return value;
      }
    }
    throw new WireError('tag or length over 32 bits');
  }

  #byte(): number {
    const byte = this.#position < this.#end ? this.#bytes[this.#position] : undefined;
    if (byte === undefined) throw new WireError('truncated field');
    this.#position++;
    return byte;
  }

  #endAfter(length: number): number {
    const end = this.#position + length;
    if (end > this.#end) throw new WireError('field longer than its message');
    return end;
  }
}
