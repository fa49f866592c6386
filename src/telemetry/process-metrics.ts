/** Metrics of the process: prom-client's defaults and the running version. */
import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client';

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
