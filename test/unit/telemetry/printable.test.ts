/** Holds what is done to text from outside before it is printed. */
import { describe, expect, it } from 'vitest';
import { clip, clipAll, escapeUnprintable } from '../../../src/telemetry/printable.ts';

describe('escapeUnprintable', () => {
  it.each([
    ['a C0 control', '\u001b[2J', '\\u001b[2J'],
    ['a line end and a tab', 'a\r\n\tb', 'a\\r\\n\\tb'],
    ['DEL', '\u007f', '\\u007f'],
    ['a C1 control, which some terminals take for an escape', '\u009b2J', '\\u009b2J'],
    ['NEL', '\u0085', '\\u0085'],
    ['line and paragraph separators', '\u2028\u2029', '\\u2028\\u2029'],
    ['bidi overrides', '\u202emoc.live\u202c', '\\u202emoc.live\\u202c'],
    ['bidi isolates and marks', '\u2066\u2069\u200e\u061c', '\\u2066\\u2069\\u200e\\u061c'],
    ['what has no width', 'a\u200bb\ufeff', 'a\\u200bb\\ufeff'],
    ['a tag beyond the basic plane', '\u{e0041}', '\\udb40\\udc41'],
  ])('escapes %s', (_name, text, expected) => {
    expect(escapeUnprintable(text)).toBe(expected);
  });

  it('leaves every other text as it is', () => {
    const text = 'GET /a?b="c" \\ é ü ß 漢字 العربية 🙂 ~';
    expect(escapeUnprintable(text)).toBe(text);
  });

  it('changes no value in JSON', () => {
    const value = { a: 'x\u0085\u202e\u{e0041}y\n', '\u2028': ['\u009b'] };
    const line = escapeUnprintable(JSON.stringify(value));
    expect(line).toMatch(/^[\x20-\x7e]*$/);
    expect(JSON.parse(line)).toEqual(value);
  });
});

describe('clip', () => {
  it('keeps the first 256 characters', () => {
    expect([clip('a'.repeat(256)), clip('a'.repeat(257))]).toEqual(['a'.repeat(256), 'a'.repeat(256)]);
  });

  it('reaches every text of a value, however deep', () => {
    const long = 'y'.repeat(300);
    const short = 'y'.repeat(256);
    expect(clipAll({ [long]: [long, 1, null, { a: long, b: true }] })).toEqual({
      [short]: [short, 1, null, { a: short, b: true }],
    });
  });
});
