import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBase64, isBase64Url } from '../../../src/approov/base64.ts';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

const REFUSED_BY_BOTH = [
  { name: 'a single character', text: 'A' },
  { name: 'a length of one too many', text: 'QUJDA' },
  { name: 'spare bits set with two characters', text: 'QR' },
  { name: 'spare bits set with three characters', text: 'QUF' },
  { name: 'a space inside', text: 'QU JD' },
  { name: 'a line end', text: 'QUJD\n' },
  { name: 'a tab before', text: '\tQUJD' },
  { name: 'a dot', text: 'QU.D' },
  { name: 'a letter outside ASCII', text: 'QUJé' },
  { name: 'a NUL', text: 'QUJ\0' },
];

describe('isBase64Url', () => {
  it.each([
    { name: 'an empty text', text: '' },
    { name: 'one byte', text: 'QQ' },
    { name: 'two bytes', text: 'QUI' },
    { name: 'three bytes', text: 'QUJD' },
    { name: 'its own two characters', text: '-_-_' },
    { name: 'its own character last, spare bits zero', text: '_w' },
  ])('accepts $name', ({ text }) => {
    expect(isBase64Url(text)).toBe(true);
  });

  it.each([
    ...REFUSED_BY_BOTH,
    { name: 'padding', text: 'QQ==' },
    { name: 'the other alphabet', text: '+/+/' },
  ])('rejects $name', ({ text }) => {
    expect(isBase64Url(text)).toBe(false);
  });

  it('accepts what was encoded, and no other text of the same bytes', () => {
    const almostBase64Url = fc.string({ unit: fc.constantFrom(...ALPHABET, '=', '+', ' '), maxLength: 8 });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), almostBase64Url, (bytes, text) => {
        expect(isBase64Url(Buffer.from(bytes).toString('base64url'))).toBe(true);
        expect(isBase64Url(text)).toBe(Buffer.from(text, 'base64url').toString('base64url') === text);
      }),
      { numRuns: 2000 },
    );
  });

  it('accepts a last character only if its spare bits are zero', () => {
    const accepted = (before: string): string =>
      [...ALPHABET].filter((last) => isBase64Url(before + last)).join('');
    expect(accepted('A')).toBe('AQgw');
    expect(accepted('AA')).toBe('AEIMQUYcgkosw048');
    expect(accepted('AAA')).toBe(ALPHABET);
  });
});

describe('decodeBase64', () => {
  it.each([
    { name: 'an empty text', text: '', expected: '' },
    { name: 'base64 with padding', text: '+/8=', expected: 'fbff' },
    { name: 'base64 without padding', text: '+/8', expected: 'fbff' },
    { name: 'base64url without padding', text: '-_8', expected: 'fbff' },
    { name: 'base64url with padding', text: '-_8=', expected: 'fbff' },
    { name: 'two characters of padding', text: 'QQ==', expected: '41' },
    { name: 'a text of neither alphabet alone', text: 'QUJD', expected: '414243' },
  ])('decodes $name', ({ text, expected }) => {
    expect(decodeBase64(text)?.toString('hex')).toBe(expected);
  });

  it.each([
    ...REFUSED_BY_BOTH,
    { name: 'a mix of the alphabets', text: '+_8=' },
    { name: 'too little padding', text: 'QQ=' },
    { name: 'padding where none belongs', text: 'QUJD=' },
    { name: 'a whole group of padding', text: 'QUJD====' },
    { name: 'three characters of padding', text: 'Q===' },
    { name: 'padding alone', text: '==' },
    { name: 'padding inside', text: 'QQ==QQ==' },
  ])('rejects $name', ({ text }) => {
    expect(decodeBase64(text)).toBeUndefined();
  });
});
