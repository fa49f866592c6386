/** Metrics of checks: outcomes, durations and ambiguous requests. */
import { Counter, type Registry } from 'prom-client';
import { modesInEffect, policyInMode } from '../authz/enforced-share.ts';
import { AMBIGUITIES, type Policy, type PolicyTable } from '../authz/policy.ts';
import { REASON_NAMES, REASONS, type Reason } from '../authz/reason.ts';
import { type Action, actionFor, type Mode, UNKNOWN } from '../authz/verdict.ts';
import type { CheckRecord } from './check-observer.ts';
import { FastHistogram, registerFastHistogram, registerFastMetric, type Series } from './fast-metrics.ts';

const DURATION_BUCKETS = [
  25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3,
];

export function createCheckMetrics(registry: Registry) {
  const outcomes = registerOutcomes(registry);
  const durations = registerDurations(registry);
  const ambiguousRequests = registerFastMetric(registry, Counter, {
    name: 'approov_ambiguous_requests_total',
    help: 'Requests whose path or host upstreams may interpret differently.',
    labelNames: ['cause'],
  });
  for (const cause of AMBIGUITIES) ambiguousRequests.add(cause, { cause });

  return {
    checkDone({ decision, durationSeconds }: CheckRecord): void {
      const { policy, action, reason, ambiguous } = decision;
      outcomes.of(policy, reason).value++;
      durations[action].observe(durationSeconds);
      if (ambiguous !== undefined) ambiguousRequests.add(ambiguous, { cause: ambiguous }).value++;
    },

    /** Exposes every outcome that the policies can have as 0. */
    policiesLoaded({ policies }: PolicyTable): void {
      for (const policy of policies.values()) {
        for (const mode of modesInEffect(policy)) {
          const inEffect = policyInMode(policy, mode);
          for (const reason of REASON_NAMES) if (isPossible(mode, reason)) outcomes.of(inEffect, reason);
        }
      }
    },
  };
}

/** The key of checks without a policy. */
const NO_POLICY = {};

function registerOutcomes(registry: Registry) {
  const table = registerFastMetric(registry, Counter, {
    name: 'approov_checks_total',
    help: 'Checks, by policy, mode and outcome.',
    labelNames: ['policy', 'mode', 'verdict', 'action', 'reason'],
  });
  // Looked up by labels, which have to be joined to a key, a series was measured to cost a check several times as much.
  const byPolicy = new WeakMap<object, Map<Reason, Series>>();

  function add(policy: Policy | undefined, reason: Reason): Series {
    const { name, mode } = policy ?? { name: UNKNOWN, mode: UNKNOWN };
    const { verdict } = REASONS[reason];
    const action = actionFor(mode, verdict, reason === 'internal_error');
    // Verdict and action follow from mode and reason.
    const series = table.add(`${name} ${mode} ${reason}`, { policy: name, mode, verdict, action, reason });
    const byReason = byPolicy.get(policy ?? NO_POLICY) ?? new Map<Reason, Series>();
    byPolicy.set(policy ?? NO_POLICY, byReason.set(reason, series));
    return series;
  }

  const outcomes = {
    of: (policy: Policy | undefined, reason: Reason): Series =>
      byPolicy.get(policy ?? NO_POLICY)?.get(reason) ?? add(policy, reason),
  };
  for (const reason of ['unknown_policy', 'internal_error'] as const) outcomes.of(undefined, reason);
  return outcomes;
}

function registerDurations(registry: Registry): Readonly<Record<Action, FastHistogram>> {
  const durations = {
    allow: new FastHistogram(DURATION_BUCKETS),
    limit: new FastHistogram(DURATION_BUCKETS),
    deny: new FastHistogram(DURATION_BUCKETS),
  };
  registerFastHistogram(
    registry,
    'approov_check_duration_seconds',
    'Time from the received message to the encoded response.',
    new Map(Object.entries(durations).map(([action, duration]) => [{ action }, duration])),
  );
  return durations;
}

function isPossible(mode: Mode, reason: Reason): boolean {
  return mode === 'off' ? reason === 'policy_off' : reason !== 'policy_off' && reason !== 'unknown_policy';
}
