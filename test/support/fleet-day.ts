/** Writes a day of metrics of several instances, as Prometheus would have scraped them, in the OpenMetrics format. */

/** Minutes of history; a little more than a day, as windows look back from their end. */
const MINUTES = 25 * 60;

/** The checks of one instance under a policy in each minute, by verdict and reason. */
export interface FleetPolicy {
  readonly job: string;
  readonly policy: string;
  readonly mode: string;
  /** How many of the last minutes it has been there. Default: all. */
  readonly minutes?: number;
  /** Before, it was there in mode `off`. */
  readonly wasOff?: boolean;
  readonly rate: (minutesAgo: number) => Readonly<Partial<Record<string, number>>>;
}

interface FailedReload {
  readonly job: string;
  readonly source: string;
  readonly minutesAgo: number;
}

const INSTANCES = ['10.0.0.1:9002', '10.0.0.2:9002'];

export function fleetDay(
  nowSeconds: number,
  policies: readonly FleetPolicy[],
  failed: readonly FailedReload[] = [],
): string {
  const jobs = [...new Set(policies.map(({ job }) => job))];
  return [
    '# TYPE approov_policy_mode gauge',
    ...policies.flatMap((policy) => eachInstance((instance) => modes(policy, instance, nowSeconds))),
    '# TYPE approov_build_info gauge',
    ...jobs.flatMap((job) =>
      eachInstance((instance) =>
        samples(`approov_build_info${labels({ job, instance, version: '1' })}`, nowSeconds, MINUTES, () => 1),
      ),
    ),
    '# TYPE approov_checks counter',
    ...policies.flatMap((policy) => eachInstance((instance) => checks(policy, instance, nowSeconds))),
    '# TYPE approov_reloads counter',
    ...failed.flatMap(({ job, source, minutesAgo: failedAgo }) =>
      samples(
        `approov_reloads_total${labels({ job, instance: INSTANCES[0] ?? '', source, outcome: 'failure' })}`,
        nowSeconds,
        MINUTES,
        (minutesAgo) => (minutesAgo <= failedAgo ? 1 : 0),
      ),
    ),
    '# TYPE approov_reload_last_success_timestamp_seconds gauge',
    ...failed.flatMap(({ job, source }) =>
      samples(
        `approov_reload_last_success_timestamp_seconds${labels({ job, instance: INSTANCES[0] ?? '', source })}`,
        nowSeconds,
        MINUTES,
        () => nowSeconds - 60 * MINUTES,
      ),
    ),
    '# EOF',
    '',
  ].join('\n');
}

function eachInstance(write: (instance: string) => readonly string[]): readonly string[] {
  return INSTANCES.flatMap(write);
}

function modes({ job, policy, mode, minutes = MINUTES, wasOff }: FleetPolicy, instance: string, now: number) {
  const series = (name: string): string =>
    `approov_policy_mode${labels({ job, instance, policy, mode: name })}`;
  const before = wasOff ? samples(series('off'), now - 60 * minutes, MINUTES - minutes, () => 1) : [];
  return [...before, ...samples(series(mode), now, minutes, () => 1)];
}

function checks({ job, policy, mode, minutes = MINUTES, rate }: FleetPolicy, instance: string, now: number) {
  return Object.keys(rate(0)).flatMap((reason) => {
    const verdict = reason === 'ok' ? 'verified' : 'unverified';
    let total = 0;
    return samples(
      `approov_checks_total${labels({ job, instance, policy, mode, verdict, reason })}`,
      now,
      minutes,
      (minutesAgo) => {
        // The first sample is 0, as the service exposes it.
        if (minutesAgo < minutes - 1) total += rate(minutesAgo)[reason] ?? 0;
        return total;
      },
    );
  });
}

function samples(
  series: string,
  now: number,
  minutes: number,
  valueAt: (minutesAgo: number) => number,
): readonly string[] {
  return Array.from({ length: minutes }, (_, index) => {
    const minutesAgo = minutes - 1 - index;
    return `${series} ${valueAt(minutesAgo)} ${now - 60 * minutesAgo}`;
  });
}

function labels(pairs: Readonly<Record<string, string>>): string {
  return `{${Object.entries(pairs)
    .map(([name, value]) => `${name}="${value}"`)
    .join(',')}}`;
}
