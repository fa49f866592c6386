/** Owns the Prometheus metrics; every label value comes from a closed set or the configuration, never from a request. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { expirySeconds } from './approov/claims.ts';
import { SDK_STATUSES } from './approov/sdk-status.ts';
import type { Decision } from './authz/decide.ts';
import type { PolicyTable } from './authz/policy.ts';
import { REASON_NAMES, REASONS, type Reason } from './authz/reason.ts';
import { actionFor, UNKNOWN } from './authz/verdict.ts';

const RELOAD_SOURCES = ['config', 'keys', 'jwks', 'tls'] as const;
type ReloadSource = (typeof RELOAD_SOURCES)[number];

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

  const checks = new Counter({
    name: 'approov_checks_total',
    help: 'Checks, by policy, mode and outcome.',
    labelNames: ['policy', 'mode', 'verdict', 'action', 'reason'],
    registers,
  });
  const duration = new Histogram({
    name: 'approov_check_duration_seconds',
    help: 'Time from the message in hand to the answer written.',
    labelNames: ['action'],
    buckets: [25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3],
    registers,
  });
  const inFlight = new Gauge({
    name: 'approov_checks_in_flight',
    help: 'Checks that have arrived and whose call has not ended.',
    registers,
  });
  const keyUsed = new Counter({
    name: 'approov_key_used_total',
    help: 'Signatures that a key has verified.',
    labelNames: ['key_id'],
    registers,
  });
  const keyLastUsed = new Gauge({
    name: 'approov_key_last_used_timestamp_seconds',
    aggregator: 'max',
    help: 'When a key last verified a signature; 0 until it does.',
    labelNames: ['key_id'],
    registers,
  });
  const sdkStatus = new Counter({
    name: 'approov_sdk_status_total',
    help: 'Status words by which SDKs said why they have no token.',
    labelNames: ['status'],
    registers,
  });
  const tokenRemaining = new Histogram({
    name: 'approov_token_remaining_seconds',
    help: 'exp minus now of tokens with a verified signature; negative once expired.',
    buckets: [-3600, -300, -60, -30, -10, -5, 0, 5, 10, 30, 60, 120, 180, 240, 300, 600, 3600],
    registers,
  });
  const cacheLookups = new Counter({
    name: 'approov_verdict_cache_total',
    help: 'Look-ups in the verdict cache.',
    labelNames: ['outcome'],
    registers,
  });
  const reloads = new Counter({
    name: 'approov_reload_total',
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
  const cancelled = new Counter({
    name: 'approov_checks_cancelled_total',
    help: 'Checks that the client gave up before they were answered.',
    labelNames: ['cause'],
    registers,
  });
  const logSuppressed = new Counter({
    name: 'approov_log_suppressed_total',
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

  for (const reason of ['policy_unknown', 'internal_error'] as const) {
    checks.inc({ policy: UNKNOWN, mode: UNKNOWN, verdict: 'unverified', action: 'deny', reason }, 0);
  }
  for (const status of [...SDK_STATUSES, 'other']) sdkStatus.inc({ status }, 0);
  for (const outcome of ['hit', 'miss']) cacheLookups.inc({ outcome }, 0);
  for (const cause of ['cancelled', 'deadline']) cancelled.inc({ cause }, 0);
  for (const reason of REASON_NAMES) logSuppressed.inc({ reason }, 0);
  for (const source of RELOAD_SOURCES) {
    for (const outcome of ['success', 'failure']) reloads.inc({ source, outcome }, 0);
    reloadSucceeded.set({ source }, 0);
  }
  for (const action of ['allow', 'limit', 'deny']) duration.zero({ action });

  return {
    registry,

    /** A check has arrived; to be called back when its call has ended. */
    checkStarted(): () => void {
      inFlight.inc();
      return () => inFlight.dec();
    },

    checkDecided(decision: Decision, nowSeconds: number, durationSeconds: number): void {
      const { mode, verdict, action, reason, verifiedToken } = decision;
      checks.inc({ policy: decision.policy?.name ?? UNKNOWN, mode, verdict, action, reason });
      duration.observe({ action }, durationSeconds);
      if (decision.sdkStatus !== undefined) sdkStatus.inc({ status: decision.sdkStatus });
      if (verifiedToken === undefined) return;
      keyUsed.inc({ key_id: verifiedToken.keyId });
      keyLastUsed.set({ key_id: verifiedToken.keyId }, nowSeconds);
      const exp = expirySeconds(verifiedToken);
      if (exp !== undefined) tokenRemaining.observe(exp - nowSeconds);
    },

    checkCancelled(cause: 'cancelled' | 'deadline'): void {
      cancelled.inc({ cause });
    },

    cacheLookedUp(outcome: 'hit' | 'miss'): void {
      cacheLookups.inc({ outcome });
    },

    linesSuppressed(reason: Reason, count: number): void {
      logSuppressed.inc({ reason }, count);
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
          const { verdict } = REASONS[reason];
          const isPossible =
            mode === 'off' ? reason === 'policy_off' : reason !== 'policy_off' && reason !== 'policy_unknown';
          if (!isPossible) continue;
          const action = actionFor(mode, verdict, reason === 'internal_error');
          checks.inc({ policy: name, mode, verdict, action, reason }, 0);
        }
      }
      for (const key_id of knownKeyIds) {
        if (keyIds.includes(key_id)) continue;
        keyUsed.remove({ key_id });
        keyLastUsed.remove({ key_id });
      }
      for (const key_id of keyIds) {
        keyUsed.inc({ key_id }, 0);
        keyLastUsed.inc({ key_id }, 0);
      }
      knownKeyIds = keyIds;
    },
  };
}

/** The metrics of a primary beside its workers' sum, which leaves out when a process started. */
export function createPrimaryMetrics(): { readonly registry: Registry; readonly restarts: Counter } {
  const registry = new Registry();
  new Gauge({
    name: 'process_start_time_seconds',
    help: 'Start time of the process since unix epoch in seconds.',
    registers: [registry],
  }).set(Date.now() / 1000 - process.uptime());
  return { registry, restarts: createWorkerRestarts(registry) };
}

/** The one metric that no worker can keep; a process without workers keeps it at 0. */
export function createWorkerRestarts(registry: Registry): Counter {
  return new Counter({
    name: 'approov_worker_restarts_total',
    help: 'Workers started anew after they died.',
    registers: [registry],
  });
}
