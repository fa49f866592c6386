/** Tests where texts are placed: as anyone can compute, always the same, and evenly. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { placeOf } from '../../../src/approov/text-place.ts';

test('the place of a text is the first 8 hexadecimal digits of its SHA-256, divided by 2^32', () => {
  for (const text of ['', 'ExampleApproovTokenDID==', '203.0.113.5', 'é']) {
    const digits = createHash('sha256').update(text, 'utf8').digest('hex').slice(0, 8);
    expect(placeOf(text)).toBe(Number.parseInt(digits, 16) / 4_294_967_296);
  }
  expect(placeOf('ExampleApproovTokenDID==')).toBeCloseTo(0.0472, 4);
});

test('neighbouring addresses are spread evenly', () => {
  const tenths = Array.from({ length: 10 }, () => 0);
  for (let address = 0; address < 65_536; address++) {
    const tenth = Math.floor(10 * placeOf(`10.1.${address >> 8}.${address & 255}`));
    tenths[tenth] = (tenths[tenth] ?? 0) + 1;
  }
  for (const count of tenths) expect(Math.abs(count / 65_536 - 0.1)).toBeLessThan(0.005);
});
