/** Tests which intervals a ring keeps as time passes. */
import { describe, expect, test } from 'vitest';
import { BucketRing } from '../../../src/rollout/bucket-ring.ts';

/** Notes each time in the interval of that time, and returns what is kept. */
function keptOf(times: readonly number[]): Record<number, number[]> {
  const ring = new BucketRing<number[]>(60, 3, () => []);
  for (const time of times) ring.at(time).push(time);
  return Object.fromEntries(ring.buckets().map(({ number, content }) => [number, content]));
}

describe('a ring of three minutes', () => {
  test('adds to the interval of the time', () => {
    expect(keptOf([600, 659.9, 660])).toEqual({ 10: [600, 659.9], 11: [660] });
  });

  test('drops the oldest interval for a new one', () => {
    expect(keptOf([600, 660, 720, 780])).toEqual({ 11: [660], 12: [720], 13: [780] });
  });

  test('adds to an earlier interval that is still kept', () => {
    expect(keptOf([600, 660, 659])).toEqual({ 10: [600, 659], 11: [660] });
  });

  test('counts on after the clock was set back', () => {
    expect(keptOf([6060, 600, 601])).toEqual({ 10: [600, 601], 101: [6060] });
    expect(keptOf([6060, 600, 660, 720])).toEqual({ 10: [600], 11: [660], 12: [720] });
  });
});
