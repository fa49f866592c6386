/** Adds up what all workers have counted, past ones included: the metrics, and the counts of the rollout. */
import { AggregatorRegistry } from 'prom-client';
import { mergeSnapshots, type RolloutSnapshot } from '../rollout/snapshot.ts';
import { wouldDenyRatios } from '../rollout/summarize.ts';
import { KEY_LAST_USED } from '../telemetry/key-metrics.ts';
import { createPrimaryMetrics } from '../telemetry/primary-metrics.ts';
import { registerWouldDenyRatio } from '../telemetry/rollout-metrics.ts';
import type { MetricJson, WorkerChannel } from './worker-channel.ts';

/** A worker that takes longer is represented by its last report. */
const REFRESH_TIMEOUT_MS = 1000;

interface WorkerTotals {
  /** Keeps the counts of a worker that exited: a falling sum would look like a counter reset. */
  retire(worker: WorkerChannel): void;
  restarted(): void;
  /** Requests a report of each running worker. */
  refresh(running: readonly WorkerChannel[]): Promise<void>;
  /** As last reported. @returns the exposition of the primary and all workers. */
  metricsText(running: readonly WorkerChannel[]): Promise<string>;
  /** As last reported. */
  rollout(running: readonly WorkerChannel[]): RolloutSnapshot;
}

interface TotalsOptions {
  /** Of the policies whose checks are judged. */
  readonly policyNames: () => readonly string[];
  /** Since the epoch. */
  readonly nowSeconds: () => number;
}

export function createWorkerTotals({ policyNames, nowSeconds }: TotalsOptions): WorkerTotals {
  const { registry, restarts } = createPrimaryMetrics();
  let retiredMetrics: Promise<readonly MetricJson[]> = Promise.resolve([]);
  let retiredRollout: RolloutSnapshot = { sinceSeconds: nowSeconds(), policies: {} };
  let current = retiredRollout;

  function addUp(running: readonly WorkerChannel[]): RolloutSnapshot {
    const reports = running.flatMap((worker) => worker.counts()?.rollout ?? []);
    return mergeSnapshots([retiredRollout, ...reports], nowSeconds());
  }

  registerWouldDenyRatio(registry, () => wouldDenyRatios(current, policyNames(), nowSeconds()));
  return {
    retire(worker) {
      const counts = worker.counts();
      if (counts === undefined) return;
      retiredMetrics = addMetrics(retiredMetrics, counts.metrics.filter(outlivesWorker));
      retiredRollout = mergeSnapshots([retiredRollout, counts.rollout], nowSeconds());
    },

    restarted() {
      restarts.inc();
    },

    async refresh(running) {
      await Promise.all(running.map((worker) => worker.refreshCounts(REFRESH_TIMEOUT_MS)));
    },

    async metricsText(running) {
      current = addUp(running);
      const reports = running.map((worker) => worker.counts()?.metrics ?? []);
      const all = aggregate([await retiredMetrics, ...reports]);
      return (await all.metrics()) + (await registry.metrics());
    },

    rollout: addUp,
  };
}

function aggregate(reports: readonly (readonly MetricJson[])[]) {
  return AggregatorRegistry.aggregate(reports.map((report) => [...report]));
}

async function addMetrics(
  retired: Promise<readonly MetricJson[]>,
  report: readonly MetricJson[],
): Promise<readonly MetricJson[]> {
  return aggregate([await retired, report]).getMetricsAsJSON() as Promise<MetricJson[]>;
}

/** Counts, and when a key was last used; other gauges describe a running process. */
function outlivesWorker({ type, name }: MetricJson): boolean {
  return ['counter', 'histogram'].includes(String(type)) || name === KEY_LAST_USED;
}
