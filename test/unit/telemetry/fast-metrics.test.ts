/** Tests that fast metrics produce the same exposition as prom-client's own. */
import fc from 'fast-check';
import { AggregatorRegistry, Counter, Histogram, Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import {
  FastHistogram,
  registerFastHistogram,
  registerFastMetric,
} from '../../../src/telemetry/fast-metrics.ts';

const BOUNDS = [-5, 0, 0.000025, 1, 60];
const HELP = 'What it counts.';

/** The same observations in our histogram and in prom-client's. */
function histogramsOf(observations: readonly (readonly [action: string, value: number])[]) {
  const own = new Registry();
  const stock = new Registry();
  const series = { allow: new FastHistogram(BOUNDS), deny: new FastHistogram(BOUNDS) };
  registerFastHistogram(
    own,
    'seconds',
    HELP,
    new Map(Object.entries(series).map(([action, each]) => [{ action }, each])),
  );
  const histogram = new Histogram({
    name: 'seconds',
    help: HELP,
    labelNames: ['action'],
    buckets: BOUNDS,
    registers: [stock],
  });
  for (const action of ['allow', 'deny']) histogram.zero({ action });
  for (const [action, value] of observations) {
    series[action as 'allow' | 'deny'].observe(value);
    histogram.observe({ action }, value);
  }
  return { own, stock };
}

const observations = fc.array(
  fc.tuple(
    fc.constantFrom('allow', 'deny'),
    fc.oneof(fc.constantFrom(...BOUNDS), fc.double({ min: -100, max: 100, noNaN: true })),
  ),
);

describe('a fast histogram', () => {
  test('has the exposition of prom-client’s for any observations', async () => {
    await fc.assert(
      fc.asyncProperty(observations, async (observed) => {
        const { own, stock } = histogramsOf(observed);
        expect(await own.metrics()).toBe(await stock.metrics());
      }),
    );
  });

  test('aggregates over workers like prom-client’s', async () => {
    await fc.assert(
      fc.asyncProperty(observations, observations, async (first, second) => {
        const sumOf = async (registries: readonly Registry[]): Promise<string> =>
          AggregatorRegistry.aggregate(
            await Promise.all(registries.map((registry) => registry.getMetricsAsJSON())),
          ).metrics();
        const [one, other] = [histogramsOf(first), histogramsOf(second)];
        expect(await sumOf([one.own, other.own])).toBe(await sumOf([one.stock, other.stock]));
      }),
    );
  });
});

test('a fast counter exposes each series once, new ones as 0, and no deleted one', async () => {
  const registry = new Registry();
  const table = registerFastMetric(registry, Counter, {
    name: 'things_total',
    help: HELP,
    labelNames: ['key'],
  });
  for (const key of ['a', 'b', 'c']) table.add(key, { key });
  table.add('a', { key: 'a' }).value += 2;
  table.delete('b');
  const series = async (): Promise<string[]> =>
    (await registry.metrics()).split('\n').filter((line) => line.startsWith('things'));
  expect(await series()).toEqual(['things_total{key="a"} 2', 'things_total{key="c"} 0']);
  // A second scrape must not add the values again.
  expect(await series()).toEqual(['things_total{key="a"} 2', 'things_total{key="c"} 0']);
});
