/** Summarizes what was counted under a policy over each window, for the report. */
import { GROUP_NAMES, type Group, groupOf, isOutcome, isRefused, reasonOf } from './outcomes.ts';
import { union } from './sketch.ts';
import {
  addTallies,
  devicesByGroup,
  HOUR_SECONDS,
  HOURS,
  MINUTE_SECONDS,
  MINUTES,
  type MinuteSnapshot,
  type PolicySnapshot,
  type RolloutSnapshot,
  type Tally,
} from './snapshot.ts';

/** The current interval is counted too, so that each window is at least as long as its name says. */
export const WINDOWS = [
  { name: '5m', intervals: 'minutes', count: 6 },
  { name: '1h', intervals: 'minutes', count: MINUTES },
  { name: '24h', intervals: 'hours', count: HOURS },
] as const;

export type WindowName = (typeof WINDOWS)[number]['name'];

/** Of judged checks, which are those that were not skipped. */
export interface Counts {
  readonly judged: number;
  readonly verified: number;
  /** Those that `enforce` denies. */
  readonly refused: number;
  /** Of the refused ones. Zeros are left out. */
  readonly groups: Tally;
}

export interface WindowSummary extends Counts {
  readonly reasons: Tally;
}

/** One bar of a chart. */
export interface Interval extends Counts {
  readonly startSeconds: number;
}

export function countsOf(outcomes: Tally): Counts {
  const groups = new Map<Group, number>();
  let verified = 0;
  let refused = 0;
  for (const [outcome, count] of Object.entries(outcomes)) {
    if (!isOutcome(outcome)) continue;
    const group = groupOf(outcome);
    if (group === 'verified') verified += count;
    if (group === 'verified' || group === 'skipped') continue;
    refused += count;
    groups.set(group, (groups.get(group) ?? 0) + count);
  }
  return {
    judged: verified + refused,
    verified,
    refused,
    groups: Object.fromEntries(
      GROUP_NAMES.flatMap((name) => (groups.has(name) ? [[name, groups.get(name) ?? 0]] : [])),
    ),
  };
}

export function summarizeWindow(outcomes: Tally): WindowSummary {
  const reasons = Object.entries(outcomes).flatMap(([outcome, count]) =>
    isOutcome(outcome) && isRefused(outcome) ? [{ [reasonOf(outcome)]: count }] : [],
  );
  return { ...countsOf(outcomes), reasons: addTallies(reasons) };
}

/** The intervals of a window in order, those without a check too. */
export function intervalsOf(
  policy: PolicySnapshot,
  { intervals, count }: (typeof WINDOWS)[number],
  nowSeconds: number,
): readonly Interval[] {
  const seconds = intervals === 'minutes' ? MINUTE_SECONDS : HOUR_SECONDS;
  const latest = Math.floor(nowSeconds / seconds);
  const known = new Map(policy[intervals].map((each: MinuteSnapshot) => [each.number, each.outcomes]));
  return Array.from({ length: count }, (_, index) => {
    const number = latest - count + 1 + index;
    return { startSeconds: number * seconds, ...countsOf(known.get(number) ?? {}) };
  });
}

/** The outcomes of a window, added up. */
export function outcomesOf(
  policy: PolicySnapshot,
  { intervals, count }: (typeof WINDOWS)[number],
  nowSeconds: number,
): Tally {
  const seconds = intervals === 'minutes' ? MINUTE_SECONDS : HOUR_SECONDS;
  const latest = Math.floor(nowSeconds / seconds);
  return addTallies(
    policy[intervals]
      .filter(({ number }: MinuteSnapshot) => number > latest - count && number <= latest)
      .map(({ outcomes }: MinuteSnapshot) => outcomes),
  );
}

/** Estimates of distinct devices in the last 24 hours. */
export interface Devices {
  readonly verified: number;
  readonly refused: number;
  readonly groups: Tally;
}

export function summarizeDevices({ hours }: PolicySnapshot): Devices {
  const { verified, ...refused } = Object.fromEntries(devicesByGroup(hours.map(({ devices }) => devices)));
  return {
    verified: verified?.estimate() ?? 0,
    refused: union(Object.values(refused)).estimate(),
    groups: Object.fromEntries(Object.entries(refused).map(([group, sketch]) => [group, sketch.estimate()])),
  };
}

/** Of each policy and window, the share of judged checks that enforcing would deny. */
export function wouldDenyRatios({ policies }: RolloutSnapshot, names: Iterable<string>, nowSeconds: number) {
  return Array.from(names).flatMap((policy) =>
    WINDOWS.map((window) => {
      const counted = policies[policy];
      const { judged, refused } = countsOf(counted ? outcomesOf(counted, window, nowSeconds) : {});
      return { policy, window: window.name, ratio: judged === 0 ? undefined : refused / judged };
    }),
  );
}
