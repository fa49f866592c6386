/** Metrics that only a primary can provide; its workers provide all others. */
import { Counter, Gauge, Registry } from 'prom-client';

/** The aggregate of the workers has no process start time, so the primary exposes its own. */
export function createPrimaryMetrics(): { readonly registry: Registry; readonly restarts: Counter } {
  const registry = new Registry();
  new Gauge({
    name: 'process_start_time_seconds',
    help: 'Start time of the process since unix epoch in seconds.',
    registers: [registry],
  }).set(Date.now() / 1000 - process.uptime());
  return { registry, restarts: createWorkerRestarts(registry) };
}

/** Only a primary counts up; a process without workers exposes 0. */
export function createWorkerRestarts(registry: Registry): Counter {
  return new Counter({
    name: 'approov_worker_restarts_total',
    help: 'Workers restarted after they exited.',
    registers: [registry],
  });
}
