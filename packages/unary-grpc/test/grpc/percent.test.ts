/** Tests the encoding of `grpc-message`. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { percentEncode } from '../../src/grpc/percent.ts';

test.each([
  ['plain text, with "quotes" ~', 'plain text, with "quotes" ~'],
  ['100%', '100%25'],
  ['a\r\nb', 'a%0D%0Ab'],
  ['\x7f\0', '%7F%00'],
  ['é€😀', '%C3%A9%E2%82%AC%F0%9F%98%80'],
  ['', ''],
])('%j is sent as %s', (text, encoded) => {
  expect(percentEncode(text)).toBe(encoded);
});

test('any text is sent in printable ASCII, from which it can be read again', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 50 }), (text) => {
      const encoded = percentEncode(text);
      expect(encoded).toMatch(/^[ -~]*$/);
      expect(decodeURIComponent(encoded)).toBe(text);
    }),
  );
});

test('a text is cut at 1,024 characters', () => {
  expect(percentEncode('a'.repeat(5000))).toBe('a'.repeat(1024));
});
