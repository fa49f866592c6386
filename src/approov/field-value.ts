/** Owns the one rule about HTTP field values that tokens and bindings share (RFC 9110 §5.5). */

/** Without the SP and HTAB around it, which are no part of a field value. Linear, unlike a regular expression. */
export function trimOws(value: Buffer): Buffer {
  let start = 0;
  let end = value.length;
  while (start < end && isBlank(value[start])) start++;
  while (end > start && isBlank(value[end - 1])) end--;
  return value.subarray(start, end);
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09;
}
