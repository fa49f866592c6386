/** Metrics of reloads, by source. */
import { Counter, Gauge, type Registry } from 'prom-client';
import { RELOAD_SOURCES, type ReloadSource } from '../config/config.ts';

const OUTCOMES = ['success', 'failure'] as const;
type Outcome = (typeof OUTCOMES)[number];

export function createReloadMetrics(registry: Registry) {
  const reloads = new Counter({
    name: 'approov_reloads_total',
    // Each worker reloads the same files.
    aggregator: 'max',
    help: 'Reloads of changed files, and fetches of JWK Sets.',
    labelNames: ['source', 'outcome'],
    registers: [registry],
  });
  const lastSuccess = new Gauge({
    name: 'approov_reload_last_success_timestamp_seconds',
    aggregator: 'min',
    help: 'When a source was last loaded successfully; 0 if never.',
    labelNames: ['source'],
    registers: [registry],
  });
  for (const source of RELOAD_SOURCES) {
    for (const outcome of OUTCOMES) reloads.inc({ source, outcome }, 0);
    lastSuccess.set({ source }, 0);
  }

  return {
    reloaded(source: ReloadSource, outcome: Outcome, nowSeconds: number): void {
      reloads.inc({ source, outcome });
      if (outcome === 'success') lastSuccess.set({ source }, nowSeconds);
    },

    /** Records the load at start, which does not count as a reload. */
    loaded(source: ReloadSource, nowSeconds: number): void {
      lastSuccess.set({ source }, nowSeconds);
    },
  };
}
