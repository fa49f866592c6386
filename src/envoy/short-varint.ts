/** Reads the varints that nearly all lengths are: those of one or two bytes. */

/** A varint of one or two bytes, in its shortest form; -1 for any other. */
export function shortVarint(bytes: Buffer, position: number): number {
  const first = bytes[position] ?? 0;
  if (first < 0x80) return first;
  const second = bytes[position + 1] ?? 0;
  return second > 0 && second < 0x80 ? (first & 0x7f) | (second << 7) : -1;
}

/** Of a {@link shortVarint}. */
export function sizeOf(value: number): number {
  return value < 0x80 ? 1 : 2;
}
