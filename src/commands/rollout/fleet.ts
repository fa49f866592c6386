/** Assesses the policies of a fleet by what Prometheus has of all its instances. */
import type { RolloutSettings } from '../../config/rollout-schema.ts';
import { assess, type HourEvidence } from '../../rollout/assess.ts';
import { VERSION } from '../../version.ts';
import type { PolicyAnswer, RolloutAnswer } from './answer.ts';
import type { Prometheus, Sample, Series } from './prometheus.ts';
import type { FleetQueries } from './promql.ts';

const WINDOWS = ['5m', '1h', '24h'] as const;
type Window = (typeof WINDOWS)[number];

const HOUR_SECONDS = 3600;

/** What the queries returned. */
interface Findings {
  readonly modes: readonly Sample[];
  readonly covered: readonly Sample[];
  readonly failingReloads: readonly string[];
  readonly judged: Readonly<Record<Window, readonly Sample[]>>;
  readonly refused: Readonly<Record<Window, readonly Sample[]>>;
  readonly hours: readonly Series[];
}

/** `undefined` if Prometheus has no instance of the service. */
export async function assessFleet(
  prometheus: Prometheus,
  queries: FleetQueries,
  settings: RolloutSettings,
  { url, nowSeconds }: { readonly url: string; readonly nowSeconds: number },
): Promise<RolloutAnswer | undefined> {
  const end = Math.floor(nowSeconds);
  const range = { start: end - 23 * HOUR_SECONDS, end, step: HOUR_SECONDS };
  const each = (query: (window: Window) => string) =>
    Promise.all(WINDOWS.map((window) => prometheus.query(query(window))));
  const [modes, covered, instances, failing, judged, refused, hours] = await Promise.all([
    prometheus.query(queries.modes),
    prometheus.query(queries.covered),
    prometheus.query(queries.instances),
    prometheus.query(queries.failingReloads),
    each(queries.judged),
    each(queries.refused),
    prometheus.queryRange(queries.judged('1h'), range),
  ]);
  if (modes.length === 0) return undefined;
  const findings: Findings = {
    modes,
    covered,
    failingReloads: failing.map(({ labels }) => labels['source'] ?? ''),
    judged: byWindow(judged),
    refused: byWindow(refused),
    hours,
  };
  const policies = [...new Set(modes.map(({ labels }) => labels['policy'] ?? ''))].sort();
  return {
    version: VERSION,
    covers: {
      prometheus: url,
      instances: instances[0]?.value ?? 0,
      seconds: Math.max(0, ...covered.map(({ value }) => value)),
    },
    policies: policies.map((policy) => assessPolicy(policy, findings, settings)),
  };
}

function byWindow(each: readonly (readonly Sample[])[]): Findings['judged'] {
  const [last5m = [], last1h = [], last24h = []] = each;
  return { '5m': last5m, '1h': last1h, '24h': last24h };
}

function assessPolicy(name: string, findings: Findings, settings: RolloutSettings): PolicyAnswer {
  const mode = modeOf(name, findings);
  const windowOf = (window: Window) => {
    const verdicts = tallyBy('verdict', name, findings.judged[window]);
    const verified = verdicts['verified'] ?? 0;
    const refused = verdicts['unverified'] ?? 0;
    const reasons = tallyBy('reason', name, findings.refused[window]);
    return { judged: verified + refused, verified, refused, reasons };
  };
  const windows = { '5m': windowOf('5m'), '1h': windowOf('1h'), '24h': windowOf('24h') };
  const { judged, refused, reasons } = windows['24h'];
  const assessment = assess(
    {
      mode,
      coveredSeconds: ofPolicy(name, findings.covered)[0]?.value ?? 0,
      // Prometheus does not know why a policy was not there before.
      began: 'start',
      judged,
      refused,
      internalErrors: reasons['internal_error'] ?? 0,
      hours: hoursOf(name, findings.hours),
      failingReloads: findings.failingReloads,
      // No metric has the version of the app as a label.
      newestVersion: undefined,
    },
    settings,
  );
  return { name, mode, assessment, windows };
}

/** Several while a change of the configuration spreads. */
function modeOf(name: string, { modes }: Findings): string {
  return ofPolicy(name, modes)
    .map(({ labels }) => labels['mode'] ?? '')
    .sort()
    .join(' and ');
}

function ofPolicy<T extends { readonly labels: Sample['labels'] }>(
  name: string,
  series: readonly T[],
): readonly T[] {
  return series.filter(({ labels }) => labels['policy'] === name);
}

/** Whole checks: Prometheus extrapolates to the ends of a window. Zeros are left out. */
function tallyBy(label: string, name: string, samples: readonly Sample[]): Record<string, number> {
  const counts = ofPolicy(name, samples).map(
    ({ labels, value }) => [labels[label] ?? '', Math.round(value)] as const,
  );
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

function hoursOf(name: string, series: readonly Series[]): readonly HourEvidence[] {
  const hours = new Map<number, { judged: number; refused: number }>();
  for (const { labels, points } of ofPolicy(name, series)) {
    for (const { seconds, value } of points) {
      const hour = hours.get(seconds) ?? { judged: 0, refused: 0 };
      hour.judged += Math.round(value);
      if (labels['verdict'] === 'unverified') hour.refused += Math.round(value);
      hours.set(seconds, hour);
    }
  }
  return Array.from(hours, ([seconds, hour]) => ({ startSeconds: seconds - HOUR_SECONDS, ...hour }));
}
