/** Generates changes of one byte of a text, for tests that each of them is noticed. */
import fc from 'fast-check';

/** Another byte at a place: replaced, inserted, or none. */
export const BYTE_CHANGE = fc.record({
  place: fc.nat(),
  kind: fc.constantFrom('replace', 'insert', 'remove'),
  byte: fc.oneof(fc.integer({ min: 0x20, max: 0x7e }), fc.integer({ min: 0, max: 0xff })),
});

export type ByteChange = typeof BYTE_CHANGE extends fc.Arbitrary<infer T> ? T : never;

export function changeByte(text: string, { place, kind, byte }: ByteChange): string {
  const start = place % (text.length + (kind === 'insert' ? 1 : 0));
  const inserted = kind === 'remove' ? '' : String.fromCharCode(byte);
  return text.slice(0, start) + inserted + text.slice(kind === 'insert' ? start : start + 1);
}

/** What a change leaves as it was: case where it has no meaning, and white space around a field (RFC 9110 §5.5). */
export function meaningOf(part: string, text: string): string {
  if (part === 'scheme' || part === 'authority') return text.toLowerCase();
  return part === 'body' || part === 'method' || part === 'path' || part === 'query'
    ? text
    : text.replace(/^[ \t]+|[ \t]+$/g, '');
}
