/** Tests how a soak judges what it sampled, and how it draws it. */
import { describe, expect, test } from 'vitest';
import { axisEnd, drawSoak } from '../../scripts/soak/plot.mjs';
import { failuresOf, type Sample, summarize } from '../../scripts/soak/samples.mjs';

const PERIOD_SECONDS = 5;

/** A sample every 5 s for so many minutes. */
function sampled(minutes: number, memoryMib: (minute: number) => number): Sample[] {
  return Array.from({ length: (minutes * 60) / PERIOD_SECONDS + 1 }, (_, index) => {
    const seconds = index * PERIOD_SECONDS;
    return { seconds, memoryMib: memoryMib(seconds / 60), handles: 40, lagMs: seconds / 60 };
  });
}

describe('the summary of a soak', () => {
  test('judges the last 20 minutes only, so that the memory of the start does not count', () => {
    const { memoryMib, memoryGrowthPercent } = summarize(sampled(60, (minute) => (minute < 40 ? 10 : 200)));
    expect(memoryMib).toEqual({ start: 200, end: 200, max: 200 });
    expect(memoryGrowthPercent).toBe(0);
  });

  test('judges the last two thirds of a soak that is shorter than half an hour', () => {
    const { lagMs, memoryMib } = summarize(sampled(15, (minute) => (minute < 5 ? 10 : 200)));
    expect(memoryMib.start).toBe(200);
    expect(lagMs.max).toBe(15);
  });

  test('compares the mean of the first minute with that of the last, and keeps the range between', () => {
    const rising = sampled(30, (minute) => (minute < 11 ? 100 : minute < 20 ? 120 : 106));
    expect(summarize(rising)).toMatchObject({
      memoryMib: { start: 100, end: 106, max: 120 },
      memoryGrowthPercent: 6,
      memoryRangePercent: 20,
      handles: { start: 40, end: 40 },
    });
  });
});

describe('a soak', () => {
  const good = { answered: 1_000_000, wrong: 0, memoryGrowthPercent: 5 };

  test('passes with right answers and memory that grew by 5 % at most, or shrank', () => {
    expect(failuresOf(good)).toEqual([]);
    expect(failuresOf({ ...good, memoryGrowthPercent: -9 })).toEqual([]);
  });

  test('fails if memory grew by more, if an answer was wrong, or if there was none', () => {
    expect(failuresOf({ ...good, memoryGrowthPercent: 5.1 })).toEqual([
      'memory grew by 5.1 %, more than 5 %',
    ]);
    expect(failuresOf({ ...good, wrong: 2 })).toEqual(['2 answers were wrong']);
    expect(failuresOf({ ...good, answered: 0 })).toEqual(['no check was answered']);
  });

  test('of a few seconds has no growth to judge', () => {
    const { memoryGrowthPercent } = summarize(sampled(0.5, () => 100));
    expect(memoryGrowthPercent).toBeNaN();
    expect(failuresOf({ ...good, memoryGrowthPercent })).toEqual([]);
  });
});

describe('the plot of a soak', () => {
  test.each([
    [338, 350],
    [85.8, 100],
    [22.8, 25],
    [1.1, 1.2],
    [0.77, 0.8],
    [700, 700],
    [701, 800],
  ])('ends an axis for %d at the round number %d', (value, end) => {
    expect(axisEnd(value)).toBe(end);
  });

  test('draws each value in proportion to the end of its axis', () => {
    const samples = sampled(1, () => 300);
    const svg = drawSoak(samples, [], { answered: 1, wrong: 0, minutes: 1, transport: 'lean' });
    const ends = [...svg.matchAll(/text-anchor="end">([\d.]+)</g)].map(([, end]) => end);
    expect(ends).toEqual(['350', '0', '50', '0', '1.2', '0']);
    // 300 of 350, in a panel 110 high whose top is at 44.
    expect(svg).toContain(`points="70,${(44 + 110 - (300 / 350) * 110).toFixed(1)} `);
  });
});
