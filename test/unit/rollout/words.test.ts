/** Tests how numbers and durations are written for people. */
import { describe, expect, test } from 'vitest';
import { formatDuration, formatHours, formatPart, formatShare, plural } from '../../../src/rollout/words.ts';

test.each<[part: number, total: number, text: string]>([
  [0, 0, '–'],
  [0, 10, '0 %'],
  [10, 10, '100 %'],
  [1, 1_000_000, '< 0.01 %'],
  [999_999, 1_000_000, '> 99.99 %'],
  [1, 1000, '0.1 %'],
  [123, 10_000, '1.2 %'],
  [9992, 10_000, '99.92 %'],
])('the share %d of %d is %s', (part, total, text) => {
  expect(formatShare(part, total)).toBe(text);
});

test.each<[seconds: number, text: string]>([
  [0, '0 s'],
  [59.4, '59 s'],
  [60, '1 min'],
  [3599, '59 min'],
  [3600, '1 h'],
  [86_400, '24 h'],
  [11_520, '3 h 12 min'],
])('%d seconds are %s', (seconds, text) => {
  expect(formatHours(seconds)).toBe(text);
});

test('a part has its numbers, as a rounded share may equal the threshold that it misses', () => {
  expect(formatPart(1001, 1_000_000, 'check')).toBe('1,001 of 1,000,000 checks (0.1 %)');
  expect(plural(1, 'token was', 'tokens were')).toBe('1 token was');
});

describe('a duration for people', () => {
  test.each([
    [-5, '0 s'],
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
  ])('of %d seconds is %j', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});
