import { describe, expect, it } from 'vitest';
import { clip, clipAll, escapeUnprintable } from '../../../src/telemetry/printable.ts';

describe('escapeUnprintable', () => {
  it.each([
    ['a C0 control', '\u001b[2J', '\\u001b[2J'],
    ['a line break and a tab', 'a\r\n\tb', 'a\\r\\n\\tb'],
    ['DEL', '\u007f', '\\u007f'],
    ['a C1 control, which some terminals treat as an escape sequence', '\u009b2J', '\\u009b2J'],
    ['NEL', '\u0085', '\\u0085'],
    ['line and paragraph separators', '\u2028\u2029', '\\u2028\\u2029'],
    ['bidi overrides', '\u202emoc.live\u202c', '\\u202emoc.live\\u202c'],
    ['bidi isolates and marks', '\u2066\u2069\u200e\u061c', '\\u2066\\u2069\\u200e\\u061c'],
    ['zero-width characters', 'a\u200bb\ufeff', 'a\\u200bb\\ufeff'],
    ['a tag beyond the basic plane', '\u{e0041}', '\\udb40\\udc41'],
  ])('escapes %s', (_name, text, expected) => {
    expect(escapeUnprintable(text)).toBe(expected);
  });

  it('leaves all other text unchanged', () => {
    const text = 'GET /a?b="c" \\ é ü ß 漢字 العربية 🙂 ~';
    expect(escapeUnprintable(text)).toBe(text);
  });

  it('does not change the value of JSON', () => {
    const value = { a: 'x\u0085\u202e\u{e0041}y\n', '\u2028': ['\u009b'] };
    const line = escapeUnprintable(JSON.stringify(value));
    expect(line).toMatch(/^[\x20-\x7e]*$/);
    expect(JSON.parse(line)).toEqual(value);
  });
});

describe('clip', () => {
  it('keeps the first 256 characters of a text', () => {
    expect([clip('a'.repeat(256)), clip('a'.repeat(257))]).toEqual(['a'.repeat(256), 'a'.repeat(256)]);
  });

  it('cuts every string of a JSON value, nested ones and member names too', () => {
    const long = 'y'.repeat(300);
    const short = 'y'.repeat(256);
    expect(clipAll({ [long]: [long, 1, null, { a: long, b: true }] })).toEqual({
      [short]: [short, 1, null, { a: short, b: true }],
    });
  });
});
