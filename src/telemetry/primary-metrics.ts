/** Owns the metrics that no worker can keep: the primary's own, shown beside its workers' sum. */
import { Counter, Gauge, Registry } from 'prom-client';

/** The sum of the workers leaves out when a process started. */
export function createPrimaryMetrics(): { readonly registry: Registry; readonly restarts: Counter } {
  const registry = new Registry();
  new Gauge({
    name: 'process_start_time_seconds',
    help: 'Start time of the process since unix epoch in seconds.',
    registers: [registry],
  }).set(Date.now() / 1000 - process.uptime());
  return { registry, restarts: createWorkerRestarts(registry) };
}

/** The one metric that no worker can keep; a process without workers keeps it at 0. */
export function createWorkerRestarts(registry: Registry): Counter {
  return new Counter({
    name: 'approov_worker_restarts_total',
    help: 'Workers started anew after they died.',
    registers: [registry],
  });
}
