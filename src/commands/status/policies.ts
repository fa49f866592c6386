/** Collects what `status` shows of policies and overrides from the admin pages of a running service. */
import * as z from 'zod';
import { labelsOf, type Sample, sumOf } from '../../telemetry/exposition.ts';

export type Verdicts = Readonly<Record<'verified' | 'unverified' | 'skipped', number>>;

export interface PolicyStatus extends Verdicts {
  readonly name: string;
  readonly mode: string;
  /** `null`: its mode has no share of devices. */
  readonly enforce_percent: number | null;
}

/** Of the modes of policies. */
export interface OverrideStatus {
  readonly policy: string;
  readonly mode: string;
  /** `null`, here and below: `/override` is not shown to this client. */
  readonly configured_mode: string | null;
  readonly reason: string | null;
  readonly ends_at: string | null;
  readonly seconds_left: number | null;
}

const OVERRIDES = z.object({
  overrides: z.array(
    z.object({
      policy: z.string(),
      mode: z.string(),
      configured_mode: z.string(),
      reason: z.string(),
      ends_at: z.string(),
      seconds_left: z.number(),
    }),
  ),
});

/** @param page parsed JSON of `/override`; anything else if it is not shown to this client. */
export function overridesOf(samples: readonly Sample[], page: unknown): readonly OverrideStatus[] {
  const shown = OVERRIDES.safeParse(page).data?.overrides;
  if (shown !== undefined) return shown;
  const unknown = { configured_mode: null, reason: null, ends_at: null, seconds_left: null };
  return labelsOf(samples, ACTIVE)
    .filter((labels) => sumOf(samples, ACTIVE, labels) === 1)
    .map(({ policy = '', mode = '' }) => ({ policy, mode, ...unknown }));
}

export const CHECKS = 'approov_checks_total';
const ACTIVE = 'approov_override_active';
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
