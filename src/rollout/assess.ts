/** Assesses whether a policy is safe to enforce, from what was counted under it. */
import type { RolloutSettings } from '../config/rollout-schema.ts';
import { type Beginning, formatCounted } from './coverage.ts';
import { formatCount, formatHours, formatPart, formatPercent, formatShare, plural } from './words.ts';

/** What was counted under a policy, by one instance or by a fleet. */
export interface Evidence {
  /** Those in effect, such as `enforce and observe`. */
  readonly mode: string;
  /** For how long checks have been counted. */
  readonly coveredSeconds: number;
  readonly began: Beginning;
  /** Of the last 24 hours: checks that were judged, those that were refused, and service faults. */
  readonly judged: number;
  readonly refused: number;
  readonly internalErrors: number;
  readonly hours: readonly HourEvidence[];
  /** Sources that serve their last good state, such as `config`. */
  readonly failingReloads: readonly string[];
  /** `undefined` if no versions are configured, or they are not known here. */
  readonly newestVersion: VersionEvidence | undefined;
}

export interface HourEvidence {
  readonly startSeconds: number;
  readonly judged: number;
  readonly refused: number;
}

export interface VersionEvidence {
  readonly version: string;
  readonly judged: number;
  readonly verified: number;
}

export const ASSESSMENTS = ['safe', 'not_yet', 'cannot_tell'] as const;
export type AssessmentKind = (typeof ASSESSMENTS)[number];

export interface Assessment {
  readonly kind: AssessmentKind;
  /** One sentence: the verdict and why. */
  readonly sentence: string;
  /** The thresholds that were used, in one sentence. */
  readonly thresholds: string;
}

/** Everything but the versions of the app. */
export type Thresholds = Omit<RolloutSettings, 'appVersion'>;

/**
 * Findings count as soon as there is enough traffic to judge, even if the window is not filled: more time does not undo
 * them. Without a finding, every gap in the evidence is a reason not to say "safe".
 */
export function assess(evidence: Evidence, thresholds: Thresholds): Assessment {
  const stated = describeThresholds(thresholds, evidence.newestVersion?.version);
  const assessment = (kind: AssessmentKind, sentence: string): Assessment => ({
    kind,
    sentence,
    thresholds: stated,
  });
  if (evidence.mode === 'off')
    return assessment(
      'cannot_tell',
      'Can’t tell: the policy is off, so no check is judged; set it to observe.',
    );
  const findings = findProblems(evidence, thresholds);
  const gaps = findGaps(evidence, thresholds);
  const hasTraffic = evidence.judged >= thresholds.minChecks;
  if (hasTraffic && findings.length > 0)
    return assessment('not_yet', `Not yet: ${[...findings, ...gaps].join('; ')}.`);
  if (gaps.length > 0)
    return assessment('cannot_tell', `Can’t tell: ${[...gaps, ...soFar(evidence)].join('; ')}.`);
  return assessment('safe', describeSafe(evidence, thresholds));
}

/** The hour with the largest share; hours with little traffic do not count. */
export function worstHour<T extends HourEvidence>(
  { judged, hours }: { readonly judged: number; readonly hours: readonly T[] },
  { minHourTrafficPercent }: Pick<Thresholds, 'minHourTrafficPercent'>,
): T | undefined {
  const least = (judged * minHourTrafficPercent) / 100;
  return hours
    .filter((hour) => hour.judged > 0 && hour.judged >= least)
    .reduce<T | undefined>(
      (worst, hour) => (worst === undefined || percentOf(hour) > percentOf(worst) ? hour : worst),
      undefined,
    );
}

/** 0 without a check. */
export function percentOf({ judged, refused }: Pick<HourEvidence, 'judged' | 'refused'>): number {
  return judged === 0 ? 0 : (100 * refused) / judged;
}

function findProblems(evidence: Evidence, thresholds: Thresholds): readonly string[] {
  const { judged, refused, internalErrors, newestVersion } = evidence;
  const worst = worstHour(evidence, thresholds);
  const findings: string[] = [];
  if (percentOf(evidence) > thresholds.maxWouldDenyPercent)
    findings.push(
      `enforcing denies ${formatPart(refused, judged, 'check')}, more than ${formatPercent(thresholds.maxWouldDenyPercent)}`,
    );
  if (worst !== undefined && percentOf(worst) > thresholds.maxWorstHourPercent)
    findings.push(
      `in the hour from ${formatHour(worst.startSeconds)}, ${formatPart(worst.refused, worst.judged, 'check')}, more than ${formatPercent(thresholds.maxWorstHourPercent)}`,
    );
  if (internalErrors > thresholds.maxInternalErrors)
    findings.push(
      `${plural(internalErrors, 'internal error')}, more than ${formatCount(thresholds.maxInternalErrors)}`,
    );
  if (newestVersion !== undefined && newestVersion.judged >= minNewestChecks(thresholds)) {
    const { version, verified } = newestVersion;
    const percent = (100 * verified) / newestVersion.judged;
    if (percent < thresholds.minNewestVerifiedPercent)
      findings.push(
        `app version ${version} has ${formatPart(verified, newestVersion.judged, 'check')} verified, less than ${formatPercent(thresholds.minNewestVerifiedPercent)}`,
      );
  }
  return findings;
}

function findGaps(evidence: Evidence, thresholds: Thresholds): readonly string[] {
  const { minHours, minChecks } = thresholds;
  const minNewest = minNewestChecks(thresholds);
  const { coveredSeconds, began, judged, failingReloads, newestVersion } = evidence;
  const gaps: string[] = [];
  if (judged < minChecks)
    gaps.push(`${plural(judged, 'check')} judged in the last 24 h, fewer than ${formatCount(minChecks)}`);
  if (coveredSeconds < minHours * 3600)
    gaps.push(
      `${formatCounted({ seconds: coveredSeconds, began })}, less than ${formatHours(minHours * 3600)}`,
    );
  if (failingReloads.length > 0)
    gaps.push(`${failingReloads.join(' and ')} cannot be reloaded, so the last good state is in use`);
  if (newestVersion !== undefined && newestVersion.judged < minNewest)
    gaps.push(
      `${plural(newestVersion.judged, 'check')} of app version ${newestVersion.version}, fewer than ${formatCount(minNewest)}`,
    );
  return gaps;
}

/** A share of a few checks says nothing: of how many checks of the newest version it is taken at least. */
function minNewestChecks({ minChecks }: Thresholds): number {
  return Math.ceil(minChecks / 100);
}

/** What is known although it does not suffice. */
function soFar({ judged, refused }: Evidence): readonly string[] {
  return judged === 0 ? [] : [`so far enforcing denies ${formatPart(refused, judged, 'check')}`];
}

function describeSafe(evidence: Evidence, thresholds: Thresholds): string {
  const { mode, judged, refused } = evidence;
  const worst = worstHour(evidence, thresholds);
  // Of the whole day, in whatever modes it was spent.
  const start =
    mode === 'enforce' ? 'Safe: the policy is enforced, and refused' : 'Safe to enforce: it refused';
  const hour =
    worst === undefined || worst.refused === 0
      ? ''
      : `, and at most ${formatShare(worst.refused, worst.judged)} in an hour`;
  return `${start} ${formatPart(refused, judged, 'check')} in the last 24 h${hour}.`;
}

function describeThresholds(thresholds: Thresholds, newest: string | undefined): string {
  const { minHours, minChecks, maxWouldDenyPercent, maxWorstHourPercent, minHourTrafficPercent } = thresholds;
  const version =
    newest === undefined
      ? ''
      : `, at least ${plural(minNewestChecks(thresholds), 'check')} of app version ${newest} and ${formatPercent(thresholds.minNewestVerifiedPercent)} of them verified`;
  const errors =
    thresholds.maxInternalErrors === 0
      ? 'no internal error'
      : `at most ${plural(thresholds.maxInternalErrors, 'internal error')}`;
  return `Safe means: at least ${formatHours(minHours * 3600)} and ${plural(minChecks, 'check')}, at most ${formatPercent(maxWouldDenyPercent)} refused and ${formatPercent(maxWorstHourPercent)} in any hour with at least ${formatPercent(minHourTrafficPercent)} of the checks, ${errors}, no failing reload${version}.`;
}

/** `14:00 UTC`. */
export function formatHour(startSeconds: number): string {
  return `${new Date(startSeconds * 1000).toISOString().slice(11, 16)} UTC`;
}
