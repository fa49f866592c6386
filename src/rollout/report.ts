/** Builds the report that `/rollout.json` serves, and the page and the command show. */
import { modesInEffect } from '../authz/enforced-share.ts';
import type { Policy, PolicyTable } from '../authz/policy.ts';
import { UNKNOWN } from '../authz/verdict.ts';
import type { RolloutSettings } from '../config/rollout-schema.ts';
import { type Assessment, assess, type HourEvidence, worstHour } from './assess.ts';
import { clockHint } from './clock-hint.ts';
import { type Beginning, coverageOf } from './coverage.ts';
import {
  addTallies,
  HOUR_SECONDS,
  MINUTE_SECONDS,
  mergeSnapshots,
  type PolicySnapshot,
  type RolloutSnapshot,
  type Tally,
} from './snapshot.ts';
import {
  type Counts,
  countsOf,
  type Devices,
  type Interval,
  intervalsOf,
  outcomesOf,
  summarizeDevices,
  summarizeWindow,
  WINDOWS,
  type WindowName,
  type WindowSummary,
} from './summarize.ts';
import { newestOf, type VersionReport, versionsOf } from './versions.ts';

/** As served. Times are ISO 8601. */
export interface RolloutReport {
  readonly version: string;
  readonly generated_at: string;
  /** What was counted: by this instance, since then. */
  readonly covers: Coverage;
  readonly thresholds: RolloutSettings;
  readonly keys: readonly KeyUse[];
  /** Sources that serve their last good state, with what is wrong. */
  readonly failing_reloads: readonly FailingReload[];
  readonly policies: readonly PolicyReport[];
  /** Checks of the last 24 hours without a configured policy: Envoy named an unknown one, or sent no readable request. */
  readonly unknown_policy: Counts;
}

export interface Coverage {
  readonly instance: string;
  /** Processes that answer checks. */
  readonly processes: number;
  readonly since: string;
  readonly seconds: number;
  readonly worker_restarts: number;
}

export interface KeyUse {
  readonly id: string;
  readonly verifications: number;
  /** `null`: not since the start. */
  readonly last_used_at: string | null;
}

export interface FailingReload {
  readonly source: string;
  readonly problems: readonly string[];
}

/** A mode that is in effect for a while in place of the configured one. */
export interface ActiveOverride {
  readonly mode: string;
  readonly since: string;
  readonly until: string;
  /** `null`: it is not shown to this client. */
  readonly reason: string | null;
}

export interface OverrideReport extends ActiveOverride {
  readonly seconds_left: number;
}

export interface PolicyReport {
  readonly name: string;
  /** As configured. */
  readonly mode: string;
  /** `null`: all devices; otherwise the share that mode `enforce` applies to, and the others are observed. */
  readonly enforce_percent: number | null;
  /** With the override. `enforce and observe` if a share of devices is enforced. */
  readonly mode_in_effect: string;
  readonly is_default: boolean;
  readonly override: OverrideReport | null;
  readonly counted: CountedReport;
  readonly assessment: Assessment;
  readonly windows: Readonly<Record<WindowName, WindowReport>>;
  /** Of the last 24 hours; `null` if no hour has enough traffic. */
  readonly worst_hour: HourReport | null;
  readonly devices: Devices;
  readonly app_versions: readonly VersionReport[];
  readonly sdk_status: Tally;
  readonly clock_hint: string | null;
  readonly refused_per_minute: RefusedPerMinute;
}

/** For how long the checks of a policy have been counted, and since what. */
export interface CountedReport {
  readonly since: string;
  readonly seconds: number;
  readonly began: Beginning;
}

export interface HourReport extends Counts {
  readonly start: string;
}

export interface WindowReport extends WindowSummary {
  readonly interval_seconds: number;
  readonly intervals: readonly HourReport[];
}

/** What enforcing costs, in requests a minute. */
export interface RefusedPerMinute {
  /** The mean over the last hour. */
  readonly mean: number;
  readonly worst: number;
}

export interface ReportParts {
  readonly version: string;
  readonly nowSeconds: number;
  readonly snapshot: RolloutSnapshot;
  readonly policyTable: Pick<PolicyTable, 'policies' | 'defaultPolicy'>;
  readonly settings: RolloutSettings;
  readonly covers: Pick<Coverage, 'instance' | 'processes' | 'worker_restarts'>;
  readonly keys: readonly KeyUse[];
  readonly failingReloads: readonly FailingReload[];
  /** By policy. */
  readonly overrides: ReadonlyMap<string, ActiveOverride>;
}

const NOTHING: PolicySnapshot = { rules: '', restart: null, minutes: [], hours: [] };

export function buildReport(parts: ReportParts): RolloutReport {
  const { version, nowSeconds, policyTable, settings, covers, keys, failingReloads } = parts;
  // Without what is too old.
  const snapshot = mergeSnapshots([parts.snapshot], nowSeconds);
  const coveredSeconds = Math.max(0, nowSeconds - snapshot.sinceSeconds);
  return {
    version,
    generated_at: isoTime(nowSeconds),
    covers: { ...covers, since: isoTime(snapshot.sinceSeconds), seconds: Math.round(coveredSeconds) },
    thresholds: settings,
    keys,
    failing_reloads: failingReloads,
    policies: [...policyTable.policies.values()].map((policy) => ({
      ...reportPolicy(policy, snapshot.policies[policy.name] ?? NOTHING, parts),
      is_default: policy === policyTable.defaultPolicy,
    })),
    unknown_policy: countsOf(outcomesOf(snapshot.policies[UNKNOWN] ?? NOTHING, WINDOWS[2], nowSeconds)),
  };
}

function reportPolicy(
  { name, mode, enforcePercent = 100 }: Pick<Policy, 'name' | 'mode' | 'enforcePercent'>,
  counted: PolicySnapshot,
  { nowSeconds, snapshot, settings, failingReloads, overrides }: ReportParts,
): Omit<PolicyReport, 'is_default'> {
  const windowOf = (window: (typeof WINDOWS)[number]): WindowReport => ({
    ...summarizeWindow(outcomesOf(counted, window, nowSeconds)),
    interval_seconds: window.intervals === 'minutes' ? MINUTE_SECONDS : HOUR_SECONDS,
    intervals: intervalsOf(counted, window, nowSeconds).map(withStart),
  });
  const [last5m, last1h, last24h] = WINDOWS.map(windowOf) as [WindowReport, WindowReport, WindowReport];
  const hours = intervalsOf(counted, WINDOWS[2], nowSeconds);
  const versions = versionsOf(counted, settings);
  const override = overrides.get(name) ?? null;
  const modeInEffect = override?.mode ?? modesInEffect({ mode, enforcePercent }).join(' and ');
  const { sinceSeconds, began } = coverageOf({
    startSeconds: snapshot.sinceSeconds,
    restart: counted.restart,
    overriddenSeconds: mode === 'off' && override !== null ? Date.parse(override.since) / 1000 : undefined,
  });
  const coveredSeconds = Math.max(0, nowSeconds - sinceSeconds);
  const evidence = {
    mode: modeInEffect,
    coveredSeconds,
    began,
    judged: last24h.judged,
    refused: last24h.refused,
    internalErrors: last24h.reasons['internal_error'] ?? 0,
    hours,
    failingReloads: failingReloads.map(({ source }) => source),
    newestVersion: newestOf(versions, settings),
  };
  const worst = worstHour(evidence, settings);
  return {
    name,
    mode,
    enforce_percent: enforcePercent < 100 ? enforcePercent : null,
    mode_in_effect: modeInEffect,
    override: override && { ...override, seconds_left: secondsUntil(override.until, nowSeconds) },
    counted: { since: isoTime(sinceSeconds), seconds: Math.round(coveredSeconds), began },
    assessment: assess(evidence, settings),
    windows: { '5m': last5m, '1h': last1h, '24h': last24h },
    worst_hour: worst === undefined ? null : withStart(worst),
    devices: summarizeDevices(counted),
    app_versions: versions,
    sdk_status: addTallies(counted.hours.map(({ words }) => words)),
    clock_hint:
      clockHint(
        addTallies(counted.hours.map(({ overshoots }) => overshoots)),
        last24h.reasons['token_not_yet_valid'] ?? 0,
      ) ?? null,
    refused_per_minute: refusedPerMinute(last1h, coveredSeconds),
  };
}

function withStart({ startSeconds, ...counts }: Interval & HourEvidence): HourReport {
  return { start: isoTime(startSeconds), ...counts };
}

/** The first minutes after the start do not count as minutes without a refused check. */
function refusedPerMinute({ refused, intervals }: WindowReport, coveredSeconds: number): RefusedPerMinute {
  const minutes = Math.min(intervals.length - 1, Math.max(1, coveredSeconds / 60));
  return {
    mean: Math.round((10 * refused) / minutes) / 10,
    worst: Math.max(...intervals.map((interval) => interval.refused)),
  };
}

function secondsUntil(iso: string, nowSeconds: number): number {
  return Math.max(0, Math.ceil(Date.parse(iso) / 1000 - nowSeconds));
}

function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}
