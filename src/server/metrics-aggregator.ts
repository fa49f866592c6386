/** Aggregates the metrics of all workers, past ones included. */
import { AggregatorRegistry } from 'prom-client';
import { KEY_LAST_USED } from '../telemetry/key-metrics.ts';
import { createPrimaryMetrics } from '../telemetry/primary-metrics.ts';
import type { MetricJson, WorkerChannel } from './worker-channel.ts';

/** A worker that takes longer is represented by its last report. */
const REFRESH_TIMEOUT_MS = 1000;

interface MetricsAggregator {
  /** Keeps the counts of a worker that exited: a falling sum would look like a counter reset. */
  retire(worker: WorkerChannel): void;
  restarted(): void;
  /** @returns the exposition of the primary and all workers. */
  text(running: readonly WorkerChannel[]): Promise<string>;
}

export function createMetricsAggregator(): MetricsAggregator {
  const { registry, restarts } = createPrimaryMetrics();
  let retired: Promise<readonly MetricJson[]> = Promise.resolve([]);

  return {
    retire(worker) {
      retired = add(retired, worker.metrics().filter(outlivesWorker));
    },

    restarted() {
      restarts.inc();
    },

    async text(running) {
      await Promise.all(running.map((worker) => worker.refreshMetrics(REFRESH_TIMEOUT_MS)));
      const reports = [await retired, ...running.map((worker) => worker.metrics())];
      return (await aggregate(reports).metrics()) + (await registry.metrics());
    },
  };
}

function aggregate(reports: readonly (readonly MetricJson[])[]) {
  return AggregatorRegistry.aggregate(reports.map((report) => [...report]));
}

async function add(
  retired: Promise<readonly MetricJson[]>,
  report: readonly MetricJson[],
): Promise<readonly MetricJson[]> {
  return aggregate([await retired, report]).getMetricsAsJSON() as Promise<MetricJson[]>;
}

/** Counts, and when a key was last used; other gauges describe a running process. */
function outlivesWorker({ type, name }: MetricJson): boolean {
  return ['counter', 'histogram'].includes(String(type)) || name === KEY_LAST_USED;
}
