/** Tests the values of `grpc-timeout`. */
import { expect, test } from 'vitest';
import { parseTimeout } from '../../src/grpc/timeout.ts';

test.each([
  ['1H', 3_600_000],
  ['2M', 120_000],
  ['3S', 3000],
  ['200m', 200],
  ['1500u', 1.5],
  ['2000000n', 2],
  ['0S', 0],
  ['00000007m', 7],
  ['99999999H', 99_999_999 * 3_600_000],
])('%s is %d ms', (value, milliseconds) => {
  expect(parseTimeout(value)).toBeCloseTo(milliseconds);
});

test.each([
  '',
  'm',
  '1',
  '100',
  '123456789m',
  '-1m',
  '+1m',
  '1.5S',
  ' 1m',
  '1m ',
  '1 m',
  '1s',
  '1h',
  '0x1m',
  '1é',
  '1__proto__',
  '1mm',
])('"%s" is not a timeout', (value) => {
  expect(parseTimeout(value)).toBeUndefined();
});
