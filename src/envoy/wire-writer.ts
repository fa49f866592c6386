/** Writes fields in the protobuf wire format (protobuf.dev/programming-guides/encoding). */
import { lengthDelimited, WIRE_TYPE } from './wire.ts';

/** An integer field. Not for negative numbers. */
export function varintField(fieldNumber: number, value: number): Buffer {
  const tag = (fieldNumber << 3) | WIRE_TYPE.varint;
  const field = Buffer.allocUnsafe(varintLength(tag) + varintLength(value));
  writeVarint(field, writeVarint(field, 0, tag), value);
  return field;
}

const NOTHING = Buffer.alloc(0);

/** A string, bytes or message field; a message as its encoded fields. */
export function bytesField(fieldNumber: number, ...content: readonly Buffer[]): Buffer {
  return appendBytesField(NOTHING, fieldNumber, ...content);
}

export function stringField(fieldNumber: number, text: string): Buffer {
  return bytesField(fieldNumber, Buffer.from(text));
}

/** As {@link bytesField}, behind bytes that are already encoded. Saves a copy of the field. */
export function appendBytesField(
  encoded: Buffer,
  fieldNumber: number,
  ...content: readonly Buffer[]
): Buffer {
  let length = 0;
  for (const part of content) length += part.length;
  const tag = lengthDelimited(fieldNumber);
  const message = Buffer.allocUnsafe(encoded.length + varintLength(tag) + varintLength(length) + length);
  message.set(encoded);
  let position = writeVarint(message, writeVarint(message, encoded.length, tag), length);
  for (const part of content) {
    message.set(part, position);
    position += part.length;
  }
  return message;
}

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) length++;
  return length;
}

/** @returns the position after it. */
function writeVarint(buffer: Buffer, start: number, value: number): number {
  let position = start;
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) buffer[position++] = (rest & 0x7f) | 0x80;
  buffer[position++] = rest;
  return position;
}
