import { describe, expect, it } from 'vitest';
import { isoTime } from '../../../../src/commands/explain/times.ts';

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
