/** Tests durations: those that people write on the command line, and those that they read. */
import { describe, expect, test } from 'vitest';
import { formatDuration, parseDurationSeconds } from '../../../src/commands/duration.ts';

test.each<[text: string, seconds: number]>([
  ['90', 90],
  ['90s', 90],
  ['5m', 300],
  ['1h', 3600],
  ['7d', 604_800],
  ['0', 0],
  ['1.5m', 90],
  ['-5m', -300],
  ['-0.5', -0.5],
])('the duration %s is %d seconds', (text, seconds) => {
  expect(parseDurationSeconds(text)).toBe(seconds);
});

test.each([
  '',
  's',
  'm5',
  '5 m',
  '5min',
  '1h30m',
  '+5',
  '--5',
  '5.',
  '.5',
  '1e3',
  'Infinity',
  'NaN',
  '0x10',
  '٥',
  '5M',
  '5\n',
  '9'.repeat(400),
])('%j is not a duration', (text) => {
  expect(parseDurationSeconds(text)).toBeUndefined();
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
