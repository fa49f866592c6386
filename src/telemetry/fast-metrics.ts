/** Provides metrics that are cheap to update on every check: plain numbers that prom-client reads on a scrape. */
import type {
  Counter,
  CounterConfiguration,
  Gauge,
  GaugeConfiguration,
  Histogram,
  Registry,
} from 'prom-client';

type Labels = Readonly<Record<string, string>>;

export interface Series {
  readonly labels: Labels;
  value: number;
}

/**
 * The series of a counter or gauge, by a key that stands for their labels. prom-client looks up a series by its labels
 * on each call, which was measured to cost more than the decision.
 */
class FastMetric extends Map<string, Series> {
  /** Returns the series of the key; a new one is exposed as 0 from now on. */
  add(key: string, labels: Labels): Series {
    const known = this.get(key);
    if (known !== undefined) return known;
    const series = { labels, value: 0 };
    this.set(key, series);
    return series;
  }
}

type LabelledConfiguration = CounterConfiguration<string> & GaugeConfiguration<string>;

/** Registers a counter or gauge whose series are those of the returned table. */
export function registerFastMetric(
  registry: Registry,
  Metric: typeof Counter | typeof Gauge,
  configuration: Omit<LabelledConfiguration, 'registers' | 'collect'>,
): FastMetric {
  const table = new FastMetric();
  const metric = new Metric({
    ...configuration,
    registers: [registry],
    collect() {
      metric.reset();
      for (const { labels, value } of table.values()) metric.inc(labels, value);
    },
  });
  return table;
}

/** One series of a histogram. */
export class FastHistogram {
  readonly #bounds: readonly number[];
  /** The last one is the `+Inf` bucket. */
  readonly #counts: number[];
  #sum = 0;

  /** @param bounds upper bounds of the buckets (inclusive), ascending. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    let bucket = 0;
    for (const bound of this.#bounds) {
      if (value <= bound) break;
      bucket++;
    }
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += value;
  }

  /** Samples in prom-client's form: cumulative buckets, sum and count. */
  samples(name: string, labels: Labels) {
    let count = 0;
    const buckets = this.#counts.map((inBucket, index) => {
      count += inBucket;
      const le = this.#bounds[index] ?? '+Inf';
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.#sum },
      { metricName: `${name}_count`, labels, value: count },
    ];
  }
}

/** Registers the series, each under its labels, as one histogram. */
export function registerFastHistogram(
  registry: Registry,
  name: string,
  help: string,
  series: ReadonlyMap<Labels, FastHistogram>,
): void {
  const histogram = {
    name,
    help,
    type: 'histogram',
    aggregator: 'sum',
    labelNames: [...new Set([...series.keys()].flatMap(Object.keys))],
    get: async () => ({
      ...histogram,
      values: Array.from(series, ([labels, each]) => each.samples(name, labels)).flat(),
    }),
  };
  // A registry calls nothing but `get`; prom-client's own aggregated metrics have no more than this either.
  registry.registerMetric(histogram as unknown as Histogram);
}
