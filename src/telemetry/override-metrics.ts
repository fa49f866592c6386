/** The metrics of overrides: which are active, and how many were set. */
import { Counter, Gauge, type Registry } from 'prom-client';
import { OVERRIDE_MODES, type OverrideMode } from '../config/override-request.ts';

interface Overridden {
  readonly policy: string;
  readonly mode: OverrideMode;
}

interface OverrideMetricsOptions {
  /** The names of the configured policies, each of which has its series from the start. */
  readonly policies: () => Iterable<string>;
  readonly active: () => readonly Overridden[];
}

const LABELS = ['policy', 'mode'];

export function createOverrideMetrics(registry: Registry, { policies, active }: OverrideMetricsOptions) {
  const forEachSeries = (visit: (labels: { policy: string; mode: OverrideMode }) => void): void => {
    for (const policy of policies()) for (const mode of OVERRIDE_MODES) visit({ policy, mode });
  };
  new Gauge({
    name: 'approov_override_active',
    help: 'Whether an override puts the policy into the mode: 1 while it is active, else 0.',
    labelNames: LABELS,
    registers: [registry],
    collect() {
      this.reset();
      forEachSeries((labels) => this.set(labels, 0));
      for (const { policy, mode } of active()) this.set({ policy, mode }, 1);
    },
  });
  const set = new Counter({
    name: 'approov_overrides_total',
    help: 'Overrides that were set.',
    labelNames: LABELS,
    registers: [registry],
    collect() {
      forEachSeries((labels) => this.inc(labels, 0));
    },
  });

  return {
    overrideSet({ policy, mode }: Overridden): void {
      set.inc({ policy, mode });
    },
  };
}
