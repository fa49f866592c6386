import { describe, expect, it } from 'vitest';
import { trimOws } from '../../../src/approov/field-value.ts';

describe('trimOws', () => {
  it.each([
    { name: 'leaves a value as it is', value: 'abc', expected: 'abc' },
    { name: 'cuts spaces and tabs on both sides', value: ' \t abc\t \t', expected: 'abc' },
    { name: 'keeps white space inside', value: ' Bearer \t abc ', expected: 'Bearer \t abc' },
    { name: 'trims white space to nothing', value: ' \t\t ', expected: '' },
    { name: 'keeps an empty value', value: '', expected: '' },
    {
      name: 'keeps line feeds and no-break spaces',
      value: '\n\u00a0a\r',
      expected: '\n\u00a0a\r',
    },
  ])('$name', ({ value, expected }) => {
    expect(trimOws(Buffer.from(value)).toString()).toBe(expected);
  });

  it('keeps bytes that are not UTF-8', () => {
    expect(trimOws(Buffer.from([0x20, 0xff, 0x00, 0xfe, 0x09]))).toEqual(Buffer.from([0xff, 0x00, 0xfe]));
  });
});
