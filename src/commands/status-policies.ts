/** Collects what `status` shows of policies from the metrics of a running service. */
import { labelsOf, type Sample, sumOf } from '../telemetry/exposition.ts';

export type Verdicts = Readonly<Record<'verified' | 'unverified' | 'skipped', number>>;

export interface PolicyStatus extends Verdicts {
  readonly name: string;
  readonly mode: string;
  /** `null`: its mode has no share of devices. */
  readonly enforce_percent: number | null;
}

export const CHECKS = 'approov_checks_total';
const MODE = 'approov_policy_mode';
const ENFORCE_PERCENT = 'approov_policy_enforce_percent';

export function policiesOf(samples: readonly Sample[]): readonly PolicyStatus[] {
  const names = new Set(labelsOf(samples, MODE).map(({ policy = '' }) => policy));
  return Array.from(names, (name) => {
    const percent = shareOf(samples, name);
    const [mode = ''] = labelsOf(samples, MODE, { policy: name }).map((labels) => labels['mode']);
    return {
      name,
      // Under a share of devices there are two.
      mode: percent === null ? mode : 'enforce',
      enforce_percent: percent,
      ...verdictsOf(samples, { policy: name }),
    };
  });
}

function shareOf(samples: readonly Sample[], policy: string): number | null {
  const isKnown = labelsOf(samples, ENFORCE_PERCENT, { policy }).length > 0;
  return isKnown ? sumOf(samples, ENFORCE_PERCENT, { policy }) : null;
}

export function verdictsOf(samples: readonly Sample[], labels: Sample['labels'] = {}): Verdicts {
  const count = (verdict: string): number => sumOf(samples, CHECKS, { ...labels, verdict });
  return { verified: count('verified'), unverified: count('unverified'), skipped: count('skipped') };
}
