/** Renders the index of the admin pages. */
import { html, renderDocument } from './html.ts';
import { renderTable } from './table.ts';

const PAGES = [
  ['/rollout', 'who would be locked out if each policy enforced'],
  ['/rollout.json', 'the same, for scripts'],
  ['/metrics', 'metrics for Prometheus'],
  ['/readyz', 'readiness, by component'],
  ['/livez', 'whether the process runs'],
  ['/config', 'the effective configuration, without secrets; only for clients on this machine'],
  ['/override', 'the active overrides and why they were set; only for clients on this machine'],
] as const;

export function renderIndex(): string {
  return renderDocument({
    title: 'approov-ext-authz',
    body: html`<main>
<h1>approov-ext-authz</h1>
<section>${renderTable({
      caption: 'Admin pages',
      headings: ['Page', 'Shows'],
      isProse: true,
      rows: PAGES.map(([path, shows]) => ({ heading: html`<a href="${path}">${path}</a>`, cells: [shows] })),
    })}</section>
</main>`,
  });
}
