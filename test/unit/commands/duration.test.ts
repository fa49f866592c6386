/** Tests durations that people write on the command line. */
import { expect, test } from 'vitest';
import { parseDurationSeconds } from '../../../src/commands/duration.ts';

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
