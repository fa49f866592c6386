/** Renders what the rollout page says about one policy. */
import { SDK_STATUS_MEANINGS } from '../approov/sdk-status-meanings.ts';
import { formatCounted } from '../rollout/coverage.ts';
import { formatConfiguredMode, formatMode } from '../rollout/mode-words.ts';
import { GROUP_NAMES, GROUPS } from '../rollout/outcomes.ts';
import type { PolicyReport, RolloutReport } from '../rollout/report.ts';
import { formatCount, formatHours, formatShare } from '../rollout/words.ts';
import { type Html, html } from './html.ts';
import { renderChart } from './share-chart.ts';
import { renderTable } from './table.ts';

/** Symbols as well as colours: not everybody can tell the colours apart. */
const SYMBOLS = { safe: '✓', not_yet: '✕', cannot_tell: '?' } as const;

export function renderPolicy(policy: PolicyReport, thresholds: RolloutReport['thresholds']): Html {
  const { name, is_default: isDefault, assessment } = policy;
  const isOff = policy.mode_in_effect === 'off';
  return html`<section aria-labelledby="policy-${name}">
<h2 id="policy-${name}">Policy ${name} <span class="mode">mode ${formatMode(policy)}${isDefault ? ', default policy' : ''}</span></h2>
${renderOverride(policy)}<div class="verdict ${assessment.kind}">
<p><b aria-hidden="true">${SYMBOLS[assessment.kind]}</b> ${assessment.sentence}</p>
${isOff ? undefined : html`<p class="soft">${assessment.thresholds}</p>\n${renderCounted(policy)}`}</div>
${isOff ? undefined : renderCounts(policy, thresholds)}
${isOff ? undefined : renderUndo(policy)}
</section>`;
}

function renderOverride(policy: PolicyReport): Html | undefined {
  if (policy.override === null) return undefined;
  const { mode, until, reason, seconds_left: left } = policy.override;
  return html`<p class="override">Overridden: mode <b>${mode}</b> for another ${formatHours(left)}, until <time datetime="${until}">${formatTime(until)}</time>, then ${formatConfiguredMode(policy)} as configured${reason === null ? '' : `; reason: ${reason}`}</p>\n`;
}

/** If it is not for as long as the page covers. */
function renderCounted({ counted }: PolicyReport): Html | undefined {
  if (counted.began === 'start') return undefined;
  return html`<p class="soft">Policy ${formatCounted(counted)}, from <time datetime="${counted.since}">${formatTime(counted.since)}</time>.</p>\n`;
}

function renderCounts(policy: PolicyReport, thresholds: RolloutReport['thresholds']): Html {
  const { windows, clock_hint: hint } = policy;
  return html`${renderFigures(policy)}
${windows['24h'].refused === 0 ? undefined : renderCharts(policy, thresholds)}
${hint === null ? undefined : html`<p>Clock: ${hint}.</p>\n`}
${renderGroups(policy)}
${renderReasons(policy)}
${renderStatusWords(policy)}
${renderVersions(policy)}`;
}

function renderFigures(policy: PolicyReport): Html {
  const { windows, devices, refused_per_minute: perMinute } = policy;
  const { judged, verified, refused } = windows['24h'];
  const figure = (term: string, value: string, note: string): Html =>
    html`<div><dt>${term}</dt><dd>${value}<small>${note}</small></dd></div>\n`;
  return html`<dl class="figures">
${figure('Verified, 24 h', formatShare(verified, judged), `${formatCount(verified)} of ${formatCount(judged)} checks`)}
${figure('Refused, 24 h', formatShare(refused, judged), `${formatCount(refused)} checks`)}
${figure('Devices refused, 24 h', `≈ ${formatCount(devices.refused)}`, `≈ ${formatCount(devices.verified)} devices verified`)}
${figure('Refused per minute', formatMean(perMinute.mean, windows['1h'].refused), `last hour; at worst ${formatCount(perMinute.worst)} in a minute`)}
</dl>`;
}

/** `< 0.1` for a few. */
function formatMean(mean: number, refused: number): string {
  return mean === 0 && refused > 0 ? '< 0.1' : mean.toLocaleString('en-US');
}

function renderCharts(policy: PolicyReport, thresholds: RolloutReport['thresholds']): Html {
  const { windows, worst_hour: worst } = policy;
  const minJudged = (windows['24h'].judged * thresholds.minHourTrafficPercent) / 100;
  return html`<h3>Share of checks that were refused</h3>
<div class="charts">
${renderChart({ title: '5 min', window: windows['5m'] })}
${renderChart({ title: '1 h', window: windows['1h'] })}
${renderChart({ title: '24 h', window: windows['24h'], worst, minJudged, limitPercent: thresholds.maxWorstHourPercent })}
</div>
`;
}

function renderGroups({ windows, devices }: PolicyReport): Html {
  const rows = GROUP_NAMES.flatMap((group, index) => {
    const counts = [windows['5m'], windows['1h'], windows['24h']].map(({ groups }) => groups[group] ?? 0);
    if (counts.every((count) => count === 0)) return [];
    const { name, meaning } = GROUPS[group];
    return [
      {
        heading: html`<span class="swatch g${index}"></span>${name}<small class="hint">${meaning}</small>`,
        cells: [...counts.map(formatCount), `≈ ${formatCount(devices.groups[group] ?? 0)}`],
      },
    ];
  });
  if (rows.length === 0) return html`<p>No check was refused in the last 24 hours.</p>`;
  return renderTable({
    caption: 'Refused checks by group, and distinct devices in 24 h',
    headings: ['Group', '5 min', '1 h', '24 h', 'Devices'],
    rows,
  });
}

function renderReasons({ windows }: PolicyReport): Html | undefined {
  const names = Object.keys(windows['24h'].reasons);
  if (names.length === 0) return undefined;
  const table = renderTable({
    caption: 'Refused checks by reason',
    headings: ['Reason', '5 min', '1 h', '24 h'],
    rows: names.map((name) => ({
      heading: html`<code>${name}</code>`,
      cells: [windows['5m'], windows['1h'], windows['24h']].map(({ reasons }) =>
        formatCount(reasons[name] ?? 0),
      ),
    })),
  });
  return html`<details><summary>By reason</summary>${table}</details>`;
}

function renderStatusWords({ sdk_status: words }: PolicyReport): Html | undefined {
  const meanings: Readonly<Record<string, { readonly meaning: string }>> = {
    ...SDK_STATUS_MEANINGS,
    none: { meaning: 'no status word, but another sign of the SDK' },
  };
  const sorted = Object.entries(words).sort(([, one], [, other]) => other - one);
  if (sorted.length === 0) return undefined;
  return renderTable({
    caption: 'Why the SDK had no token, in its own words',
    headings: ['Status', 'Checks, 24 h'],
    rows: sorted.map(([word, count]) => ({
      heading: html`<code>${word}</code><small>${meanings[word]?.meaning}</small>`,
      cells: [formatCount(count)],
    })),
  });
}

function renderVersions({ app_versions: versions }: PolicyReport): Html | undefined {
  if (versions.length === 0) return undefined;
  return renderTable({
    caption: 'Versions of the app, the newest first',
    headings: ['Version', 'Checks, 24 h', 'Verified'],
    rows: versions.map(({ version, judged, verified }) => ({
      heading: version,
      cells: [formatCount(judged), formatShare(verified, judged)],
    })),
  });
}

function renderUndo(policy: PolicyReport): Html {
  return html`<h3>How to undo it</h3>
${policy.override === null ? renderOverriding(policy) : renderClearing(policy)}`;
}

function renderClearing(policy: PolicyReport): Html {
  return html`<p>This ends the override; mode ${formatConfiguredMode(policy)} returns:</p>
<pre><code>approov-ext-authz override --policy ${policy.name} --clear</code></pre>`;
}

function renderOverriding({ name }: PolicyReport): Html {
  return html`<p>If enforcing locks users out, this sets the instance back to <code>observe</code> immediately, for half an hour:</p>
<pre><code>approov-ext-authz override --policy ${name} --mode observe --for 30m --reason "users locked out"</code></pre>
<p class="soft">For all instances, set <code>policies.${name}.mode: observe</code> in the configuration; they reload it without a restart.</p>`;
}

/** `24 Nov 2026, 14:05 UTC` */
export function formatTime(iso: string): string {
  const [, year, month, day, time] = /^(\d+)-(\d\d)-(\d\d)T(\d\d:\d\d)/.exec(iso) ?? [];
  return `${Number(day)} ${MONTHS[Number(month) - 1]} ${year}, ${time} UTC`;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
