import { describe, expect, it } from 'vitest';
import { durationText, isoTime } from '../../../../src/commands/explain/times.ts';

describe('a time', () => {
  it.each([
    [0, '1970-01-01T00:00:00Z'],
    [1_795_500_000.75, '2026-11-24T06:00:00Z'],
    [-1, '1969-12-31T23:59:59Z'],
    [1e300, '1e+300 seconds since 1970'],
    [Number.POSITIVE_INFINITY, 'Infinity seconds since 1970'],
  ])('of %s seconds is %s', (seconds, text) => {
    expect(isoTime(seconds)).toBe(text);
  });
});

describe('a duration', () => {
  it.each([
    [0, '0 s'],
    [0.04, '0 s'],
    [4.56, '4.6 s'],
    [59, '59 s'],
    [60, '1 min 0 s'],
    [303.9, '5 min 3 s'],
    [7200, '2 h 0 min'],
    [86_399, '23 h 59 min'],
    [86_400, '1 d 0 h'],
    [20 * 86_400 + 3 * 3600, '20 d 3 h'],
  ])('of %s seconds is %s', (seconds, text) => {
    expect(durationText(seconds)).toBe(text);
  });
});
