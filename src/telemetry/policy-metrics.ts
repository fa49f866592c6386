/** The metrics of the mode of each policy. */
import { Gauge, type Registry } from 'prom-client';
import { modesInEffect } from '../authz/enforced-share.ts';
import type { PolicyTable } from '../authz/policy.ts';

export function createPolicyMetrics(registry: Registry) {
  const modes = new Gauge({
    name: 'approov_policy_mode',
    aggregator: 'max',
    help: 'Modes in effect for each policy (always 1); two series if only a share of devices is enforced.',
    labelNames: ['policy', 'mode'],
    registers: [registry],
  });
  const shares = new Gauge({
    name: 'approov_policy_enforce_percent',
    aggregator: 'min',
    help: 'Percentage of devices for which a policy in mode enforce is enforced.',
    labelNames: ['policy'],
    registers: [registry],
  });

  return {
    /** Exposes these policies only. */
    policiesLoaded({ policies }: PolicyTable): void {
      modes.reset();
      shares.reset();
      for (const policy of policies.values()) {
        const { name, mode, enforcePercent = 100 } = policy;
        for (const each of modesInEffect(policy)) modes.set({ policy: name, mode: each }, 1);
        if (mode === 'enforce') shares.set({ policy: name }, enforcePercent);
      }
    },
  };
}
