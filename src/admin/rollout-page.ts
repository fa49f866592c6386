/** Renders the rollout page: who would be locked out if each policy enforced. */
import { formatMode } from '../rollout/mode-words.ts';
import type { PolicyReport, RolloutReport } from '../rollout/report.ts';
import { formatCount, formatHours, formatShare, plural } from '../rollout/words.ts';
import { type Html, html, renderDocument } from './html.ts';
import { formatTime, renderPolicy } from './policy-section.ts';
import { renderTable } from './table.ts';

const REFRESH_SECONDS = 30;

/** @param refreshes whether the page asks for itself again. */
export function renderRollout(report: RolloutReport, refreshes = true): string {
  const { policies, thresholds } = report;
  return renderDocument({
    title: 'Rollout · approov-ext-authz',
    refreshSeconds: refreshes ? REFRESH_SECONDS : undefined,
    body: html`<header>
<p class="soft"><a href="/">approov-ext-authz</a> ${report.version}</p>
<h1>Who would be locked out?</h1>
<p>${describeCoverage(report)}</p>
<p class="soft">As of ${renderTime(report.generated_at)}. ${
      refreshes
        ? html`Refreshes every ${REFRESH_SECONDS} s; <a href="/rollout?refresh=off">stop</a>.`
        : html`Does not refresh; <a href="/rollout">refresh again</a>.`
    } Times are UTC. <a href="/rollout.json">As JSON</a>.</p>
</header>
<main>
${policies.length > 1 ? renderOverview(policies) : undefined}
${policies.map((policy) => renderPolicy(policy, thresholds))}
${renderService(report)}
</main>`,
  });
}

function describeCoverage({ covers }: RolloutReport): Html {
  const { instance, processes, since, seconds, worker_restarts: restarts } = covers;
  const workers = processes === 1 ? '' : `, all ${formatCount(processes)} workers`;
  const lost =
    restarts === 0
      ? ''
      : ` ${plural(restarts, 'worker')} restarted; the last seconds that each counted are lost.`;
  return html`This page covers this instance (<code>${instance}</code>)${workers}, since ${renderTime(since)}: ${formatHours(seconds)}.${lost} For the fleet, run <code>approov-ext-authz rollout --prometheus URL</code>.`;
}

const WORDS = { safe: 'safe', not_yet: 'not yet', cannot_tell: 'can’t tell' } as const;

function renderOverview(policies: readonly PolicyReport[]): Html {
  const table = renderTable({
    caption: 'Policies',
    headings: ['Policy', 'Safe to enforce?', 'Checks, 24 h', 'Verified'],
    rows: policies.map((policy) => ({
      heading: html`<a href="#policy-${policy.name}">${policy.name}</a> <span class="mode">${formatMode(policy)}</span>`,
      cells: [
        html`<span class="${policy.assessment.kind}"><b>${WORDS[policy.assessment.kind]}</b></span>`,
        formatCount(policy.windows['24h'].judged),
        formatShare(policy.windows['24h'].verified, policy.windows['24h'].judged),
      ],
    })),
  });
  return html`<section aria-label="All policies">${table}</section>`;
}

function renderService(report: RolloutReport): Html {
  const { covers, keys, failing_reloads: failing, unknown_policy: unknown } = report;
  const keyTable = renderTable({
    caption: 'Keys',
    headings: ['Key', 'Verifications', 'Last used'],
    rows: keys.map(({ id, verifications, last_used_at: lastUsed }) => ({
      heading: id,
      cells: [
        formatCount(verifications),
        lastUsed === null ? html`not since ${renderTime(covers.since)}` : renderTime(lastUsed),
      ],
    })),
  });
  const reloads =
    failing.length === 0
      ? html`<p>All sources are loaded as they are now.</p>`
      : html`<p>The last good state is in use, because these cannot be reloaded:</p>
<ul>${failing.flatMap(({ source, problems }) => problems.map((problem) => html`<li>${source}: ${problem}</li>`))}</ul>`;
  return html`<section aria-labelledby="service">
<h2 id="service">Keys and reloads</h2>
${keys.length === 0 ? undefined : keyTable}
<h3>Reloads</h3>
${reloads}
${
  unknown.refused === 0
    ? undefined
    : html`<p>${plural(unknown.refused, 'check')} in the last 24 hours had no configured policy and was refused: Envoy named an unknown policy, or its message could not be read.</p>`
}
</section>`;
}

function renderTime(iso: string): Html {
  return html`<time datetime="${iso}">${formatTime(iso)}</time>`;
}
