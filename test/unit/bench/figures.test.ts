/** Tests how the bench turns what it measured into figures, tables and a plot. */
import { describe, expect, test } from 'vitest';
import { plotSvg } from '../../../bench/plot.mjs';
import { poissonArrivals } from '../../../bench/schedule.mjs';
import { median, pairedRatios, percentile, summarize } from '../../../bench/statistics.mjs';
import { markdownTable, short, textTable, withRange } from '../../../bench/table.mjs';

describe('the statistics of the bench', () => {
  test('take the middle value as the median, or the mean of the two middle ones', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([9, 1, 5, 7])).toBe(6);
    expect(median([])).toBeNaN();
  });

  test('take a percentile by nearest rank', () => {
    const values = Float64Array.from({ length: 200 }, (_, index) => 200 - index);
    expect([0, 0.5, 0.99, 1].map((share) => percentile(values, share))).toEqual([1, 100, 198, 200]);
  });

  test('compare each round with the same round of the baseline', () => {
    expect(summarize(pairedRatios([20, 40, 90], [10, 40, 30]))).toEqual({ median: 2, min: 1, max: 3 });
  });
});

test('arrivals are ascending, and their gaps follow the exponential distribution of the rate', () => {
  // -ln(1 - 0.5) and -ln(1 - 0.9) of 10 ms, then no gap.
  const shares = [0.5, 0.9, 0];
  const arrivals = poissonArrivals(100, 3, () => shares.shift() ?? 0);
  expect(Array.from(arrivals, (at) => at.toFixed(2))).toEqual(['6.93', '29.96', '29.96']);
});

describe('a table of the bench', () => {
  const table = {
    title: 'CPU',
    columns: ['server', 'µs'],
    rows: [
      ['lean Go', '30.1'],
      ['empty', '1,234'],
    ],
  };

  test('aligns numbers to the right in a terminal', () => {
    expect(textTable(table)).toBe('CPU\n  server      µs\n  lean Go   30.1\n  empty    1,234');
  });

  test('aligns numbers to the right in Markdown', () => {
    expect(markdownTable(table)).toBe(
      '| server | µs |\n| --- | ---: |\n| lean Go | 30.1 |\n| empty | 1,234 |',
    );
  });

  test('shows at most three digits, and no number as a dash', () => {
    expect([0, 0.1234, 1.234, 12.34, 123.4, 1234.5, -47.3, Number.NaN].map(short)).toEqual([
      ...['0', '0.12', '1.23', '12.3', '123', '1,235', '-47.3', '–'],
    ]);
  });

  test('shows the range of a median', () => {
    expect(withRange({ median: 1.5, min: 1, max: 20 })).toBe('1.50 (1.00–20.0)');
  });
});

describe('the plot', () => {
  const total = { median: 30, min: 20, max: 50 };
  const svg = plotSvg([
    { title: 'CPU', legend: ['Envoy', 'server'], bars: [{ label: 'a <b> & c', parts: [10, 20], total }] },
  ]);

  test('draws the parts of a bar one after the other, and its range over them', () => {
    const bars = [...svg.matchAll(/<rect class="part(\d)" x="(\S+)" y="44" width="(\S+)"/g)];
    const [first, second] = bars.map(([, part, x, width]) => [Number(part), Number(x), Number(width)]);
    expect(second).toEqual([1, (first?.[1] ?? 0) + (first?.[2] ?? 0), 2 * (first?.[2] ?? 0)]);
    expect(svg).toContain('<path class="range" d="M506 51H770');
  });

  test('escapes its labels, and has colours for light and dark pages', () => {
    expect(svg).toContain('>a &lt;b> &amp; c</text>');
    expect(svg).toContain('@media (prefers-color-scheme: dark)');
  });
});
