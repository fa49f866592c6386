/** The metric of the mode of each policy. */
import { Gauge, type Registry } from 'prom-client';
import type { PolicyTable } from '../authz/policy.ts';

export function createPolicyMetrics(registry: Registry) {
  const modes = new Gauge({
    name: 'approov_policy_mode',
    aggregator: 'max',
    help: 'The mode of each policy: always 1.',
    labelNames: ['policy', 'mode'],
    registers: [registry],
  });

  return {
    /** Exposes these policies only. */
    policiesLoaded({ policies }: PolicyTable): void {
      modes.reset();
      for (const { name, mode } of policies.values()) modes.set({ policy: name, mode }, 1);
    },
  };
}
