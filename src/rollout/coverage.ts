/** Says for how long the checks of a policy have been counted, and since when. */
import type { Restart } from './snapshot.ts';
import { formatHours } from './words.ts';

/** What the counts of a policy began with, and how a sentence about it ends. */
const BEGINNINGS = {
  start: '',
  added: ' since the policy was added',
  left_off: ' since the policy was off',
  changed: ' since the policy was changed',
  overridden: ' since the override began',
} as const;

export type Beginning = keyof typeof BEGINNINGS;
export const BEGINNING_NAMES = Object.keys(BEGINNINGS) as readonly Beginning[];

export interface PolicyCoverage {
  readonly sinceSeconds: number;
  readonly began: Beginning;
}

interface Counting {
  /** When the process began to count. */
  readonly startSeconds: number;
  readonly restart: Restart | null;
  /** Of an override of a policy that is off, whose checks are judged only since then; otherwise `undefined`. */
  readonly overriddenSeconds: number | undefined;
}

export function coverageOf({ startSeconds, restart, overriddenSeconds }: Counting): PolicyCoverage {
  const since = restart?.atSeconds ?? startSeconds;
  if (overriddenSeconds !== undefined && overriddenSeconds > since)
    return { sinceSeconds: overriddenSeconds, began: 'overridden' };
  return { sinceSeconds: since, began: restart?.cause ?? 'start' };
}

/** `counted for 2 min since the policy was changed` */
export function formatCounted({
  seconds,
  began,
}: {
  readonly seconds: number;
  readonly began: Beginning;
}): string {
  return `counted for ${formatHours(seconds)}${BEGINNINGS[began]}`;
}
