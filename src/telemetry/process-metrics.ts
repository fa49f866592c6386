/** Metrics of processes: Node's defaults, the running version, and what only a primary can count. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';

export function registerProcessMetrics(registry: Registry, version: string): void {
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'approov_build_info',
    aggregator: 'max',
    help: 'The running version: always 1.',
    labelNames: ['version'],
    registers: [registry],
  }).set({ version }, 1);
}

/** Metrics of the primary, exposed together with the aggregate of its workers, which has no process start time. */
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
