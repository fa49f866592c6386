/** Defines what one process has counted, as plain JSON, and adds up several processes. */
import { Sketch } from './sketch.ts';

/** By name; a name that was not counted is missing. */
export type Tally = Readonly<Record<string, number>>;

/** Counts of one interval; `number` is how many intervals after the epoch. */
export interface MinuteSnapshot {
  readonly number: number;
  readonly outcomes: Tally;
}

export interface HourSnapshot extends MinuteSnapshot {
  /** Status words of the SDK in requests without a token; `none` if only another sign of the SDK was there. */
  readonly words: Tally;
  /** How late expired tokens were. */
  readonly overshoots: Tally;
  /** By app version: judged checks, and those of them that were verified. */
  readonly judgedVersions: Tally;
  readonly verifiedVersions: Tally;
  /** By group, or `verified`: the encoded sketch of devices. */
  readonly devices: Readonly<Record<string, string>>;
}

/** When and why the counts of a policy were last reset. */
export interface Restart {
  readonly cause: 'added' | 'left_off' | 'changed';
  readonly atSeconds: number;
}

export interface PolicySnapshot {
  /** By which its checks were judged; empty if it was not configured. */
  readonly rules: string;
  /** The last one; `null`: the counts have not been reset since the process started. */
  readonly restart: Restart | null;
  readonly minutes: readonly MinuteSnapshot[];
  readonly hours: readonly HourSnapshot[];
}

export interface RolloutSnapshot {
  /** When counting began. */
  readonly sinceSeconds: number;
  /** By name; `unknown` has the checks without a configured policy. */
  readonly policies: Readonly<Record<string, PolicySnapshot>>;
}

export const MINUTE_SECONDS = 60;
export const HOUR_SECONDS = 3600;
/** How many are kept: with the current one, so that a whole hour and a whole day are always there. */
export const MINUTES = 61;
export const HOURS = 25;

/** Adds up, without what is too old. @param snapshots at least one. */
export function mergeSnapshots(snapshots: readonly RolloutSnapshot[], nowSeconds: number): RolloutSnapshot {
  const names = new Set(snapshots.flatMap(({ policies }) => Object.keys(policies)));
  const mergePolicy = (name: string): PolicySnapshot => {
    const each = judgedAlike(snapshots, name);
    const minutes = each.flatMap((policy) => policy.minutes);
    const hours = each.flatMap((policy) => policy.hours);
    return {
      rules: each[0]?.rules ?? '',
      restart: latestRestart(each),
      minutes: mergeBuckets(minutes, nowSeconds / MINUTE_SECONDS, MINUTES, (number, same) => ({
        number,
        outcomes: addTallies(same.map(({ outcomes }) => outcomes)),
      })),
      hours: mergeBuckets(hours, nowSeconds / HOUR_SECONDS, HOURS, mergeHours),
    };
  };
  return {
    sinceSeconds: Math.min(...snapshots.map(({ sinceSeconds }) => sinceSeconds)),
    policies: Object.fromEntries(Array.from(names, (name) => [name, mergePolicy(name)])),
  };
}

/** What was counted by the latest rules: a worker that exited before a change has counted by others. */
function judgedAlike(snapshots: readonly RolloutSnapshot[], name: string): readonly PolicySnapshot[] {
  const each = snapshots.flatMap(({ sinceSeconds, policies }) => {
    const policy = policies[name];
    return policy === undefined ? [] : [{ policy, since: policy.restart?.atSeconds ?? sinceSeconds }];
  });
  const latest = each.reduce((last, next) => (next.since > last.since ? next : last), each[0] ?? NONE);
  return each.map(({ policy }) => policy).filter(({ rules }) => rules === latest.policy.rules);
}

const NONE = { policy: { rules: '' }, since: 0 };

/** Of the last process to notice the change. A worker that was restarted since does not know of it. */
function latestRestart(each: readonly PolicySnapshot[]): Restart | null {
  return each.reduce<Restart | null>(
    (latest, { restart }) =>
      restart !== null && restart.atSeconds > (latest?.atSeconds ?? 0) ? restart : latest,
    null,
  );
}

/** In the order of time. */
function mergeBuckets<T extends MinuteSnapshot>(
  buckets: readonly T[],
  now: number,
  length: number,
  merge: (number: number, same: readonly T[]) => T,
): readonly T[] {
  const latest = Math.floor(now);
  const byNumber = new Map<number, T[]>();
  for (const bucket of buckets) {
    const { number } = bucket;
    if (number > latest || number <= latest - length) continue;
    const same = byNumber.get(number);
    if (same === undefined) byNumber.set(number, [bucket]);
    else same.push(bucket);
  }
  return [...byNumber].sort(([one], [other]) => one - other).map(([number, same]) => merge(number, same));
}

function mergeHours(number: number, hours: readonly HourSnapshot[]): HourSnapshot {
  const add = (field: Exclude<keyof HourSnapshot, 'number' | 'devices'>): Tally =>
    addTallies(hours.map((hour) => hour[field]));
  return {
    number,
    outcomes: add('outcomes'),
    words: add('words'),
    overshoots: add('overshoots'),
    judgedVersions: add('judgedVersions'),
    verifiedVersions: add('verifiedVersions'),
    devices: mergeDevices(hours.map(({ devices }) => devices)),
  };
}

function mergeDevices(each: readonly HourSnapshot['devices'][]): HourSnapshot['devices'] {
  const [only, ...others] = each;
  if (only !== undefined && others.length === 0) return only;
  const merged = devicesByGroup(each);
  return Object.fromEntries(Array.from(merged, ([group, sketch]) => [group, sketch.encode()]));
}

export function devicesByGroup(each: readonly HourSnapshot['devices'][]): ReadonlyMap<string, Sketch> {
  const merged = new Map<string, Sketch>();
  for (const [group, encoded] of each.flatMap((devices) => Object.entries(devices))) {
    const sketch = merged.get(group) ?? new Sketch();
    sketch.merge(Sketch.decode(encoded));
    merged.set(group, sketch);
  }
  return merged;
}

export function addTallies(tallies: readonly Tally[]): Tally {
  const sums = new Map<string, number>();
  for (const [name, count] of tallies.flatMap((tally) => Object.entries(tally)))
    sums.set(name, (sums.get(name) ?? 0) + count);
  return Object.fromEntries(sums);
}

export function totalOf(tally: Tally): number {
  return Object.values(tally).reduce((total, count) => total + count, 0);
}
