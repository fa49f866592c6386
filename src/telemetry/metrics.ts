/** Owns the Prometheus metrics; every label value comes from a closed set or the configuration, never from a request. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { expirySeconds } from '../approov/claims.ts';
import { SDK_STATUSES } from '../approov/sdk-status.ts';
import { AMBIGUITIES, type PolicyTable } from '../authz/policy.ts';
import { REASON_NAMES, REASONS, type Reason } from '../authz/reason.ts';
import { type Action, actionFor, type Mode, UNKNOWN } from '../authz/verdict.ts';
import { RELOAD_SOURCES, type ReloadSource } from '../config/config.ts';
import type { CheckRecord } from './check-observer.ts';
import { FastHistogram, registerFastHistogram, registerFastMetric, type Series } from './fast-metrics.ts';

const DURATION_BUCKETS = [
  25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3,
];
const REMAINING_BUCKETS = [-3600, -300, -60, -30, -10, -5, 0, 5, 10, 30, 60, 120, 180, 240, 300, 600, 3600];

/** Of the gauges, the one whose highest value outlives the process that told it. */
export const KEY_LAST_USED = 'approov_key_last_used_timestamp_seconds';

export type Metrics = ReturnType<typeof createMetrics>;

/**
 * Registers every metric with its zero, so that a first event is a rise and not a new series. Where several workers'
 * metrics are added up, what each of them says alike says how (`aggregator`).
 */
export function createMetrics(version: string) {
  let knownKeyIds: readonly string[] = [];
  let jwksAges: () => ReadonlyMap<string, number> = () => new Map();
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const checks = registerFastMetric(registry, Counter, {
    name: 'approov_checks_total',
    help: 'Checks, by policy, mode and outcome.',
    labelNames: ['policy', 'mode', 'verdict', 'action', 'reason'],
  });
  const durations: Readonly<Record<Action, FastHistogram>> = {
    allow: new FastHistogram(DURATION_BUCKETS),
    limit: new FastHistogram(DURATION_BUCKETS),
    deny: new FastHistogram(DURATION_BUCKETS),
  };
  registerFastHistogram(
    registry,
    'approov_check_duration_seconds',
    'Time from the message in hand to the answer written.',
    new Map(Object.entries(durations).map(([action, duration]) => [{ action }, duration])),
  );
  let inFlight = 0;
  const checkEnded = (): void => {
    inFlight--;
  };
  new Gauge({
    name: 'approov_checks_in_flight',
    help: 'Checks that have arrived and whose call has not ended.',
    registers,
    collect() {
      this.set(inFlight);
    },
  });
  const keyVerifications = registerFastMetric(registry, Counter, {
    name: 'approov_key_verifications_total',
    help: 'Signatures that a key has verified.',
    labelNames: ['key_id'],
  });
  const keyLastUsed = registerFastMetric(registry, Gauge, {
    name: KEY_LAST_USED,
    aggregator: 'max',
    help: 'When a key last verified a signature; 0 until it does.',
    labelNames: ['key_id'],
  });
  const sdkStatus = new Counter({
    name: 'approov_sdk_status_total',
    help: 'Status words by which SDKs said why they have no token.',
    labelNames: ['status'],
    registers,
  });
  const tokenRemaining = new FastHistogram(REMAINING_BUCKETS);
  registerFastHistogram(
    registry,
    'approov_token_remaining_seconds',
    'exp minus now of tokens with a verified signature; negative once expired.',
    new Map([[{}, tokenRemaining]]),
  );
  const cacheLookups = registerFastMetric(registry, Counter, {
    name: 'approov_token_cache_lookups_total',
    help: 'Look-ups in the token cache.',
    labelNames: ['outcome'],
  });
  const cacheHits = cacheLookups.add('hit', { outcome: 'hit' });
  const cacheMisses = cacheLookups.add('miss', { outcome: 'miss' });
  const reloads = new Counter({
    name: 'approov_reloads_total',
    aggregator: 'max',
    help: 'Reloads after a change of files.',
    labelNames: ['source', 'outcome'],
    registers,
  });
  const reloadSucceeded = new Gauge({
    name: 'approov_reload_last_success_timestamp_seconds',
    aggregator: 'min',
    help: 'When a source was last loaded without a fault; 0 if never.',
    labelNames: ['source'],
    registers,
  });
  const policyMode = new Gauge({
    name: 'approov_policy_mode',
    aggregator: 'max',
    help: 'The mode of each policy: always 1.',
    labelNames: ['policy', 'mode'],
    registers,
  });
  const ambiguousRequests = registerFastMetric(registry, Counter, {
    name: 'approov_ambiguous_requests_total',
    help: 'Requests whose path, or else whose host, upstreams may read in different ways.',
    labelNames: ['cause'],
  });
  const cancelled = new Counter({
    name: 'approov_checks_abandoned_total',
    help: 'Checks that the client gave up before they were answered.',
    labelNames: ['cause'],
    registers,
  });
  const logLinesSuppressed = new Counter({
    name: 'approov_log_lines_suppressed_total',
    help: 'Log lines of checks that were left out above the limit per second.',
    labelNames: ['reason'],
    registers,
  });
  new Gauge({
    name: 'approov_jwks_age_seconds',
    aggregator: 'max',
    help: 'Age of a JWK Set fetched from its URL.',
    labelNames: ['key_id'],
    registers,
    collect() {
      this.reset();
      for (const [key_id, age] of jwksAges()) this.set({ key_id }, age);
    },
  });
  const buildInfo = new Gauge({
    name: 'approov_build_info',
    aggregator: 'max',
    help: 'The running version: always 1.',
    labelNames: ['version'],
    registers,
  });
  buildInfo.set({ version }, 1);

  const checksOf = (policy: string, mode: Mode | typeof UNKNOWN, reason: Reason): Series => {
    // Verdict and action follow from mode and reason.
    const key = `${policy} ${mode} ${reason}`;
    const known = checks.get(key);
    if (known !== undefined) return known;
    const { verdict } = REASONS[reason];
    const action = actionFor(mode, verdict, reason === 'internal_error');
    return checks.add(key, { policy, mode, verdict, action, reason });
  };
  for (const reason of ['unknown_policy', 'internal_error'] as const) checksOf(UNKNOWN, UNKNOWN, reason);
  for (const cause of AMBIGUITIES) ambiguousRequests.add(cause, { cause });
  for (const status of [...SDK_STATUSES, 'other']) sdkStatus.inc({ status }, 0);
  for (const cause of ['cancelled', 'deadline']) cancelled.inc({ cause }, 0);
  for (const reason of REASON_NAMES) logLinesSuppressed.inc({ reason }, 0);
  for (const source of RELOAD_SOURCES) {
    for (const outcome of ['success', 'failure']) reloads.inc({ source, outcome }, 0);
    reloadSucceeded.set({ source }, 0);
  }

  return {
    registry,

    /** A check has arrived; to be called back when its call has ended. */
    checkStarted(): () => void {
      inFlight++;
      return checkEnded;
    },

    checkDone({ decision, nowSeconds, durationSeconds }: CheckRecord): void {
      const { policy, mode, action, reason, verifiedToken, ambiguous } = decision;
      checksOf(policy?.name ?? UNKNOWN, mode, reason).value++;
      durations[action].observe(durationSeconds);
      if (ambiguous !== undefined) ambiguousRequests.add(ambiguous, { cause: ambiguous }).value++;
      if (decision.sdkStatus !== undefined) sdkStatus.inc({ status: decision.sdkStatus });
      if (verifiedToken === undefined) return;
      const key_id = verifiedToken.keyId;
      keyVerifications.add(key_id, { key_id }).value++;
      keyLastUsed.add(key_id, { key_id }).value = nowSeconds;
      const exp = expirySeconds(verifiedToken);
      if (exp !== undefined) tokenRemaining.observe(exp - nowSeconds);
    },

    checkAbandoned(cause: 'cancelled' | 'deadline'): void {
      cancelled.inc({ cause });
    },

    cacheLookedUp(outcome: 'hit' | 'miss'): void {
      (outcome === 'hit' ? cacheHits : cacheMisses).value++;
    },

    linesSuppressed(reason: Reason, count: number): void {
      logLinesSuppressed.inc({ reason }, count);
    },

    reloaded(source: ReloadSource, outcome: 'success' | 'failure', nowSeconds: number): void {
      reloads.inc({ source, outcome });
      if (outcome === 'success') reloadSucceeded.set({ source }, nowSeconds);
    },

    /** Loaded at the start, which is no reload. */
    loaded(source: ReloadSource, nowSeconds: number): void {
      reloadSucceeded.set({ source }, nowSeconds);
    },

    /** Where the age of each JWK Set at a URL is asked for, in seconds by key id. */
    jwksAgesFrom(ages: () => ReadonlyMap<string, number>): void {
      jwksAges = ages;
    },

    /** The policies and keys that serve now: series for each, and none for a mode that has gone. */
    configured(table: PolicyTable, keyIds: readonly string[]): void {
      policyMode.reset();
      for (const { name, mode } of table.policies.values()) {
        policyMode.set({ policy: name, mode }, 1);
        for (const reason of REASON_NAMES) {
          const isPossible =
            mode === 'off' ? reason === 'policy_off' : reason !== 'policy_off' && reason !== 'unknown_policy';
          if (isPossible) checksOf(name, mode, reason);
        }
      }
      for (const key_id of knownKeyIds) {
        if (keyIds.includes(key_id)) continue;
        keyVerifications.delete(key_id);
        keyLastUsed.delete(key_id);
      }
      for (const key_id of keyIds) {
        keyVerifications.add(key_id, { key_id });
        keyLastUsed.add(key_id, { key_id });
      }
      knownKeyIds = keyIds;
    },
  };
}
