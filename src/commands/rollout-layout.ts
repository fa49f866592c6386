/** Lays out what `rollout` shows, in 80 columns. */
import { GROUP_NAMES, GROUPS } from '../rollout/outcomes.ts';
import { formatCount, formatHours, formatShare, plural } from '../rollout/words.ts';
import type { PolicyAnswer, RolloutAnswer } from './rollout-answer.ts';
import { formatTable } from './table.ts';
import type { Paint, Style } from './terminal.ts';
import { wrap } from './wrap.ts';

const WIDTH = 80;
const STYLES = { safe: 'green', not_yet: 'red', cannot_tell: 'yellow' } as const satisfies Record<
  string,
  Style
>;

export function layOutRollout({ version, covers, policies }: RolloutAnswer, paint: Paint): readonly string[] {
  const { instance, processes, seconds } = covers;
  const workers = processes === 1 ? '' : `, ${plural(processes, 'worker')}`;
  const heading = `${paint('bold', `approov-ext-authz ${version}`)} on ${instance}${workers}, counted for ${formatHours(seconds)}`;
  return [heading, ...policies.flatMap((policy) => ['', ...policyLines(policy, paint)])];
}

function policyLines(policy: PolicyAnswer, paint: Paint): readonly string[] {
  const { name, mode, assessment, windows } = policy;
  const title = `${paint('bold', `Policy ${name}`)}, mode ${mode}`;
  const { judged, verified } = windows['24h'];
  return [
    title,
    ...indent(assessment.sentence).map((line) => paint(STYLES[assessment.kind], line)),
    ...indent(assessment.thresholds),
    ...(judged === 0
      ? []
      : [
          '',
          ...indent(
            `${formatCount(verified)} of ${plural(judged, 'check')} verified in 24 h (${formatShare(verified, judged)})`,
          ),
          ...groupRows(policy),
          ...noteRows(policy),
        ]),
  ];
}

function groupRows({ windows, devices }: PolicyAnswer): readonly string[] {
  const each = [windows['5m'], windows['1h'], windows['24h']];
  const rows = GROUP_NAMES.filter((group) => each.some(({ groups }) => (groups[group] ?? 0) > 0)).map(
    (group) => [
      GROUPS[group].name,
      ...each.map(({ groups }) => formatCount(groups[group] ?? 0)),
      ...(devices === undefined ? [] : [`~${formatCount(devices.groups[group] ?? 0)}`]),
    ],
  );
  const headings = ['refused', '>5 min', '>1 h', '>24 h', ...(devices === undefined ? [] : ['>devices'])];
  return rows.length === 0 ? [] : formatTable(headings, rows);
}

function noteRows(policy: PolicyAnswer): readonly string[] {
  const { sdk_status: words = {}, clock_hint: hint, denied_per_minute: perMinute } = policy;
  const sorted = Object.entries(words).sort(([, one], [, other]) => other - one);
  const status = sorted.map(([word, count]) => `${word} ${formatCount(count)}`).join(', ');
  return [
    ...(status === '' ? [] : indent(`SDK status: ${status}`)),
    ...(hint == null ? [] : indent(`clock: ${hint}`)),
    ...(perMinute === undefined || perMinute.worst === 0
      ? []
      : indent(
          `denied per minute if enforced: ${perMinute.mean} in the last hour, at worst ${perMinute.worst}`,
        )),
  ];
}

function indent(text: string): readonly string[] {
  return wrap(text, WIDTH - 2).map((line) => `  ${line}`);
}
