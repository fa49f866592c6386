/** Integers with a prefix (RFC 7541 §5.1). */
import type { HpackError } from './error.ts';

/**
 * Four continuation bytes reach 2^28, which is beyond any length, index or table size that we accept. §5.1 asks for a limit
 * both of the value and of the octets: zero-valued continuation bytes must not go on without end.
 */
const MAX_CONTINUATION_SHIFT = 28;

/** A position in a header block. `error` says why the last read failed. */
export interface Reader {
  block: Buffer;
  at: number;
  error: HpackError | undefined;
}

/** Reads the integer whose prefix fills the bits of `mask` (2^N - 1) in the byte at `reader.at`; -1 on an error. */
export function readInteger(reader: Reader, mask: number): number {
  const { block } = reader;
  let at = reader.at;
  let value = (block[at++] as number) & mask;
  if (value === mask) {
    for (let shift = 0; ; shift += 7) {
      if (shift === MAX_CONTINUATION_SHIFT) return fail(reader, 'integer-too-large');
      const byte = block[at++];
      if (byte === undefined) return fail(reader, 'block-truncated');
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
  }
  reader.at = at;
  return value;
}

function fail(reader: Reader, error: HpackError): -1 {
  reader.error = error;
  return -1;
}

/** The integer with `firstBits` before its prefix. */
export function integerBytes(firstBits: number, mask: number, value: number): number[] {
  if (value < mask) return [firstBits | value];
  const bytes = [firstBits | mask];
  let rest = value - mask;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}
