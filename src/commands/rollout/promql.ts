/** Writes the PromQL with which `rollout` asks about a fleet. It needs no recording rules. */
import { UsageError } from '../command.ts';

/** Label matchers, as between the braces of a selector. No escapes: label values that matter have none. */
const MATCHERS = /^[A-Za-z_]\w*(=|!=|=~|!~)"[^"\\{}]*"(, *[A-Za-z_]\w*(=|!=|=~|!~)"[^"\\{}]*")*$/;

export interface FleetQueries {
  /** Series by policy and mode. */
  readonly modes: string;
  /** Series by policy: for how many seconds of the last 24 hours there are samples in which it is not off. */
  readonly covered: string;
  /** One number. */
  readonly instances: string;
  /** Series by source whose last reload failed on some instance. */
  readonly failingReloads: string;
  /** Series by policy and verdict: judged checks in a window that ends now. */
  judged(window: string): string;
  /** Series by policy and reason: checks that enforcing denies. */
  refused(window: string): string;
}

const COVERED_STEP_SECONDS = 60;

/** @throws {UsageError} `matchers` are not label matchers. */
export function fleetQueries(matchers: string | undefined): FleetQueries {
  if (matchers !== undefined && !MATCHERS.test(matchers))
    throw new UsageError('--match: must be label matchers such as job="approov-ext-authz",namespace="prod"');
  const select = (metric: string, ...more: readonly string[]): string =>
    `${metric}{${[...more, ...(matchers === undefined ? [] : [matchers])].join(', ')}}`;
  const increase = (by: string, window: string, verdicts: string): string =>
    `sum by (${by}) (increase(${select('approov_checks_total', `verdict=~"${verdicts}"`)}[${window}]))`;
  const failures = select('approov_reloads_total', 'outcome="failure"');
  return {
    modes: `group by (policy, mode) (${select('approov_policy_mode')})`,
    covered: `${COVERED_STEP_SECONDS} * count_over_time((group by (policy) (${select('approov_policy_mode', 'mode!="off"')}))[24h:${COVERED_STEP_SECONDS}s])`,
    instances: `count(${select('approov_build_info')})`,
    // When a reload last failed, to within a minute, is the last time its failure is inside the window, minus the window.
    failingReloads: `count by (source) (
      max_over_time((timestamp(sum by (job, namespace, instance, source) (increase(${failures}[5m])) > 0) - 300)[24h:1m])
      > on (job, namespace, instance, source) ${select('approov_reload_last_success_timestamp_seconds')}
    )`,
    judged: (window) => increase('policy, verdict', window, 'verified|unverified'),
    refused: (window) => increase('policy, reason', window, 'unverified'),
  };
}
