/** Tests how exactly a sketch estimates the number of distinct devices. */
import { describe, expect, test } from 'vitest';
import { createKeyedHash } from '../../../src/rollout/keyed-hash.ts';
import { Sketch, union } from '../../../src/rollout/sketch.ts';

const hash = createKeyedHash(Uint8Array.from([8, 7, 6, 5, 4, 3, 2, 1]));

function sketchOf(from: number, to: number): Sketch {
  const sketch = new Sketch();
  for (let device = from; device < to; device++) sketch.add(hash(`device ${device}`));
  return sketch;
}

describe('a sketch', () => {
  test.each([0, 1, 2, 3])('is exact for %d devices', (count) => {
    expect(sketchOf(0, count).estimate()).toBe(count);
  });

  // Three times the standard error of 4.6 %.
  test.each([100, 1000, 10_000, 100_000, 1_000_000])('is within 14 % for %d devices', (count) => {
    const estimate = sketchOf(0, count).estimate();
    expect(estimate).toBeGreaterThan(0.86 * count);
    expect(estimate).toBeLessThan(1.14 * count);
  });

  test('counts a device once, however often it comes', () => {
    const sketch = new Sketch();
    for (let check = 0; check < 10_000; check++) sketch.add(hash('one phone'));
    expect(sketch.estimate()).toBe(1);
  });

  test('merged with another one is the sketch of both', () => {
    const merged = union([sketchOf(0, 3000), sketchOf(2000, 5000)]);
    expect(merged.encode()).toBe(sketchOf(0, 5000).encode());
  });

  test('survives its encoding', () => {
    const sketch = sketchOf(0, 500);
    expect(Sketch.decode(sketch.encode()).estimate()).toBe(sketch.estimate());
  });

  test('of another size is refused', () => {
    expect(() => Sketch.decode('AAAA')).toThrow('a sketch has 512 registers');
  });
});
