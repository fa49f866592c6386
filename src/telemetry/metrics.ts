/** Assembles the Prometheus metrics; label values come from a closed set or the configuration, never from a request. */
import { Registry } from 'prom-client';
import type { PolicyTable } from '../authz/policy.ts';
import { createCallMetrics } from './call-metrics.ts';
import { createCheckMetrics } from './check-metrics.ts';
import type { CheckRecord } from './check-observer.ts';
import { createKeyMetrics } from './key-metrics.ts';
import { createLogMetrics } from './log-metrics.ts';
import { createMessageMetrics } from './message-metrics.ts';
import { createPolicyMetrics } from './policy-metrics.ts';
import { registerProcessMetrics } from './process-metrics.ts';
import { createReloadMetrics } from './reload-metrics.ts';
import { createReplayMetrics } from './replay-metrics.ts';
import { createTokenMetrics } from './token-metrics.ts';

export type Metrics = ReturnType<typeof createMetrics>;

/**
 * Exposes every series as 0 from the start, so that `increase()` sees a first event. A metric that is the same in every
 * worker names its `aggregator`; all others are summed.
 */
export function createMetrics(version: string) {
  const registry = new Registry();
  registerProcessMetrics(registry, version);
  const checks = createCheckMetrics(registry);
  const keys = createKeyMetrics(registry);
  const tokens = createTokenMetrics(registry);
  const messages = createMessageMetrics(registry);
  const policies = createPolicyMetrics(registry);

  return {
    registry,
    ...createCallMetrics(registry),
    ...createReloadMetrics(registry),
    ...createLogMetrics(registry),
    ...createReplayMetrics(registry),
    cacheLookedUp: tokens.cacheLookedUp,
    jwksAgesFrom: keys.jwksAgesFrom,

    checkDone(record: CheckRecord): void {
      checks.checkDone(record);
      keys.checkDone(record);
      tokens.checkDone(record);
      messages.checkDone(record);
    },

    /** Exposes the series of the current policies and keys. */
    configured(table: PolicyTable, keyIds: readonly string[]): void {
      policies.policiesLoaded(table);
      checks.policiesLoaded(table);
      keys.keysLoaded(keyIds);
    },
  };
}
