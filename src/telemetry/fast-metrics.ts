/** Owns series that every check adds to: plain numbers, which prom-client reads when somebody asks for them. */
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
 * The series of a counter or gauge, by a key that stands for their labels. To find a series by its labels, as
 * prom-client does at each call, was measured to cost more than to decide.
 */
export class FastMetric extends Map<string, Series> {
  /** The series of the key, which is shown from now on, if only as its zero. */
  add(key: string, labels: Labels): Series {
    const known = this.get(key);
    if (known !== undefined) return known;
    const series = { labels, value: 0 };
    this.set(key, series);
    return series;
  }
}

type LabelledConfiguration = CounterConfiguration<string> & GaugeConfiguration<string>;

/** Shows a table's series as one metric of the class. */
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

/** How often values fell into each of the buckets of a histogram's series. */
export class FastHistogram {
  readonly #bounds: readonly number[];
  /** One beyond the bounds is for all that is greater. */
  readonly #counts: number[];
  #sum = 0;

  /** @param bounds upper bounds, ascending; a value on a bound falls below it. */
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

  /** The lines of a histogram: buckets, each with all that is below it, sum and count. */
  lines(name: string, labels: Labels) {
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

/** Shows distributions as one histogram, each under its labels. */
export function registerFastHistogram(
  registry: Registry,
  name: string,
  help: string,
  distributions: ReadonlyMap<Labels, FastHistogram>,
): void {
  const histogram = {
    name,
    help,
    type: 'histogram',
    aggregator: 'sum',
    labelNames: [...new Set([...distributions.keys()].flatMap(Object.keys))],
    get: async () => ({
      ...histogram,
      values: Array.from(distributions, ([labels, distribution]) => distribution.lines(name, labels)).flat(),
    }),
  };
  // A registry asks a metric for nothing but this; prom-client's own aggregated metrics are no more either.
  registry.registerMetric(histogram as unknown as Histogram);
}
