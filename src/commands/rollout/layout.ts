/** Lays out what `rollout` shows, in 80 columns. */
import { formatCounted } from '../../rollout/coverage.ts';
import { formatConfiguredMode, formatMode } from '../../rollout/mode-words.ts';
import { GROUP_NAMES, GROUPS } from '../../rollout/outcomes.ts';
import { formatCount, formatDuration, formatHours, formatShare, plural } from '../../rollout/words.ts';
import { formatTable } from '../table.ts';
import type { Paint, Style } from '../terminal.ts';
import { wrap } from '../wrap.ts';
import { isOff, type PolicyAnswer, type RolloutAnswer } from './answer.ts';

const WIDTH = 80;
const STYLES: Readonly<Record<PolicyAnswer['assessment']['kind'], Style>> = {
  safe: 'green',
  not_yet: 'red',
  cannot_tell: 'yellow',
};

export function layOutRollout({ version, covers, policies }: RolloutAnswer, paint: Paint): readonly string[] {
  const heading = `${paint('bold', `approov-ext-authz ${version}`)} ${describeCoverage(covers)}`;
  return [heading, ...policies.flatMap((policy) => ['', ...policyLines(policy, paint)])];
}

function describeCoverage(covers: RolloutAnswer['covers']): string {
  const counted = `counted for ${formatHours(covers.seconds)}`;
  if ('instances' in covers && typeof covers.instances === 'number')
    return `on ${plural(covers.instances, 'instance')}, ${counted} by Prometheus`;
  const { instance, processes } = covers as Extract<RolloutAnswer['covers'], { instance: string }>;
  return `on ${instance}${processes === 1 ? '' : `, ${plural(processes, 'worker')}`}, ${counted}`;
}

function policyLines(policy: PolicyAnswer, paint: Paint): readonly string[] {
  const { name, assessment, windows } = policy;
  const { judged, verified } = windows['24h'];
  const checks = `${formatCount(verified)} of ${plural(judged, 'check')} verified in 24 h (${formatShare(verified, judged)})`;
  return [
    `${paint('bold', `Policy ${name}`)}, mode ${formatMode(policy)}`,
    ...overrideRows(policy),
    ...indent(assessment.sentence).map((line) => paint(STYLES[assessment.kind], line)),
    ...(isOff(policy) ? [] : [...indent(assessment.thresholds), ...countedRows(policy)]),
    ...(judged === 0 || isOff(policy)
      ? []
      : ['', ...indent(checks), ...refusedRows(policy), ...noteRows(policy)]),
  ];
}

function overrideRows(policy: PolicyAnswer): readonly string[] {
  if (policy.override == null) return [];
  const { mode, seconds_left: left, reason } = policy.override;
  const why = reason === null ? '' : `; reason: ${reason}`;
  return indent(
    `override: mode ${mode} for another ${formatDuration(left)}, then ${formatConfiguredMode(policy)} as configured${why}`,
  );
}

/** If it is not for as long as the instance has counted. */
function countedRows({ counted }: PolicyAnswer): readonly string[] {
  return counted === undefined || counted.began === 'start'
    ? []
    : indent(`Policy ${formatCounted(counted)}.`);
}

/** By group; by reason where only Prometheus was asked, which does not know the groups. */
function refusedRows({ windows, devices }: PolicyAnswer): readonly string[] {
  const each = [windows['5m'], windows['1h'], windows['24h']];
  const tallies = each.map(({ groups, reasons }) => groups ?? reasons);
  const isGrouped = windows['24h'].groups !== undefined;
  const names = isGrouped ? GROUP_NAMES : Object.keys(windows['24h'].reasons);
  const rows = names
    .filter((name) => tallies.some((tally) => (tally[name] ?? 0) > 0))
    .map((name) => [
      isGrouped ? GROUPS[name as keyof typeof GROUPS].name : name,
      ...tallies.map((tally) => formatCount(tally[name] ?? 0)),
      ...(devices === undefined ? [] : [`~${formatCount(devices.groups[name] ?? 0)}`]),
    ]);
  const headings = ['refused', '>5 min', '>1 h', '>24 h', ...(devices === undefined ? [] : ['>devices'])];
  return rows.length === 0 ? [] : formatTable(headings, rows);
}

function noteRows(policy: PolicyAnswer): readonly string[] {
  const { sdk_status: words = {}, clock_hint: hint, refused_per_minute: perMinute } = policy;
  const sorted = Object.entries(words).sort(([, one], [, other]) => other - one);
  const status = sorted.map(([word, count]) => `${word} ${formatCount(count)}`).join(', ');
  return [
    ...(status === '' ? [] : indent(`SDK status: ${status}`)),
    ...(hint == null ? [] : indent(`clock: ${hint}`)),
    ...(perMinute === undefined || perMinute.worst === 0
      ? []
      : indent(`refused per minute: ${perMinute.mean} in the last hour, at worst ${perMinute.worst}`)),
  ];
}

function indent(text: string): readonly string[] {
  return wrap(text, WIDTH - 2).map((line) => `  ${line}`);
}
