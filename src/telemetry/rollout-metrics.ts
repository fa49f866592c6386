/** The metric of what enforcing would deny, by policy and window. */
import { Gauge, type Registry } from 'prom-client';

interface WouldDenyRatio {
  readonly policy: string;
  readonly window: string;
  /** `undefined` without a judged check. */
  readonly ratio: number | undefined;
}

/** @param ratios of the whole service: workers cannot expose their own, as ratios do not add up. */
export function registerWouldDenyRatio(registry: Registry, ratios: () => readonly WouldDenyRatio[]): void {
  new Gauge({
    name: 'approov_rollout_would_deny_ratio',
    help: 'Share of the judged checks of this instance that enforcing would deny.',
    labelNames: ['policy', 'window'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { policy, window, ratio } of ratios())
        if (ratio !== undefined) this.set({ policy, window }, ratio);
    },
  });
}
