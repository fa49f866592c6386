/** Trims HTTP field values (RFC 9110 §5.5). */

/** Trims optional white space (SP and HTAB). Linear in the length, unlike a regular expression. */
export function trimOws(value: Buffer): Buffer {
  let start = 0;
  let end = value.length;
  while (start < end && isBlank(value[start])) start++;
  while (end > start && isBlank(value[end - 1])) end--;
  return start === 0 && end === value.length ? value : value.subarray(start, end);
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09;
}
