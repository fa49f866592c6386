/** Checks the dashboard with the service's metrics, promtool, and what Grafana requires. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildDashboard } from '../../scripts/grafana-dashboard.mjs';
import type { RunningService } from '../support/process.ts';
import {
  chartsOf,
  documentedEnvoyNames,
  type Exposition,
  expectPromQl,
  PROMTOOL,
  parseExposition,
  readDashboard,
  readRules,
  SEASONED_CONFIG,
  selectorsIn,
  startSeasonedService,
  unknownIn,
  withoutVariables,
} from '../support/prometheus.ts';
import { unmet } from '../support/requirement.ts';

const DOCS = fileURLToPath(new URL('../../docs/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'grafana-'));
const dashboard = readDashboard();
const charts = chartsOf(dashboard);
const targets = charts.flatMap(({ title, targets: all = [] }) => all.map((target) => ({ title, ...target })));
const annotations = dashboard.annotations.list.filter(({ builtIn }) => builtIn === undefined);
/** Every expression with what uses it. */
const queries = [
  ...targets,
  ...annotations.map(({ name, target }) => ({ title: name, expr: target?.expr ?? '' })),
];
/** Panels with queries. */
const plotted = charts.filter(({ type }) => type !== 'alertlist');
const variables = dashboard.templating.list;

let service: RunningService;
let exposition: Exposition;

beforeAll(async () => {
  const config = join(folder, 'config.yaml');
  writeFileSync(config, SEASONED_CONFIG);
  service = await startSeasonedService(config);
  exposition = parseExposition(await (await fetch(`http://${service.admin}/metrics`)).text());
});
afterAll(async () => {
  await service?.kill();
  rmSync(folder, { recursive: true });
});

describe('dashboard.json', () => {
  test('is what scripts/grafana-dashboard.mjs builds', () => {
    expect(dashboard).toEqual(buildDashboard());
  });

  test('has a row for each part of the service, and all but the first are collapsed', () => {
    const rows = dashboard.panels.filter(({ type }) => type === 'row');
    expect(rows.map(({ title, collapsed }) => [title, collapsed])).toEqual([
      ['Overview', false],
      ['Would-deny by policy', true],
      ['Rollout', true],
      ['Shares and overrides', true],
      ['Keys and rotation', true],
      ['SDK status', true],
      ['Token remaining', true],
      ['Message signatures', true],
      ['Token cache', true],
      ['Latency', true],
      ['Reloads', true],
      ['Process', true],
      ['Envoy', true],
    ]);
  });

  // Grafana drops the panels of an open row, and shows those after a collapsed row under the row before.
  test('has the panels of a collapsed row in the row, and those of the open row after it', () => {
    for (const { type, title, collapsed, panels = [] } of dashboard.panels) {
      if (type === 'row') expect(panels.length > 0, title).toBe(collapsed);
    }
    const types = dashboard.panels.map(({ type }) => type);
    expect(types.lastIndexOf('stat')).toBeLessThan(types.indexOf('row', 1));
  });

  test('uses only panel types and a schema version that Grafana 11 and 12 have', () => {
    expect(new Set(charts.map(({ type }) => type))).toEqual(
      new Set(['stat', 'alertlist', 'timeseries', 'table', 'heatmap']),
    );
    // 11.0 has 39; 12 upgrades from any older version.
    expect(dashboard).toMatchObject({ schemaVersion: 39 });
  });

  test('has unique panel ids, and unique query letters in each panel', () => {
    const ids = dashboard.panels.flatMap(({ id, panels = [] }) => [id, ...panels.map((panel) => panel.id)]);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { title, targets: all = [] } of charts) {
      expect(new Set(all.map(({ refId }) => refId)).size, title).toBe(all.length);
    }
  });

  test('has no overlapping panels, and none beyond the 24 columns', () => {
    const open = dashboard.panels.filter(({ type }) => type !== 'row');
    for (const shown of [open, ...dashboard.panels.map(({ panels = [] }) => panels)]) {
      const cells = new Map<string, string>();
      for (const { title, gridPos } of shown) {
        expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
            expect(cells.get(`${x},${y}`), `under ${title}`).toBeUndefined();
            cells.set(`${x},${y}`, title);
          }
        }
      }
    }
  });

  test.each(charts)('has a description for “$title”', ({ description }) => {
    expect(description).toMatch(/^[A-Z].{20,}\.$/);
  });

  test.each(plotted)('has a query for “$title”', ({ targets: all = [] }) => {
    expect(all.length).toBeGreaterThan(0);
  });

  test('says what an empty panel means wherever its query can be empty on a healthy service', () => {
    const silent = plotted
      .filter(({ targets: all = [] }) =>
        all.some(({ expr }) => expr.includes(' > 0') || expr.startsWith('instance:')),
      )
      .filter(({ fieldConfig }) => fieldConfig?.defaults.noValue === undefined);
    expect(silent.map(({ title }) => title)).toEqual([]);
  });

  test('names the policy, key or source next to each number, even if there is only one', () => {
    const named = charts.filter(
      ({ type, targets: all = [] }) => type === 'stat' && all[0]?.legendFormat !== '__auto',
    );
    expect(named.map(({ title, options }) => [title, options?.['textMode']])).toEqual([
      ['Would be refused if enforced now', 'value_and_name'],
      ['Would be refused per second', 'value_and_name'],
      ['Safe to enforce', 'value_and_name'],
      ['Would-deny share of a day', 'value_and_name'],
      ['Would-deny share of the worst hour', 'value_and_name'],
      ['Time since last use', 'value_and_name'],
      ['Time since the last successful load', 'value_and_name'],
    ]);
  });

  test('links each alert to its section of the runbook from a panel', () => {
    const linked = charts.flatMap(({ links = [] }) =>
      links.flatMap(({ title, url }) => {
        const [, alert] = /^Runbook: (.*)$/.exec(title) ?? [];
        if (alert === undefined) return [];
        expect(url).toBe(`$\{docs:raw}/runbook.md#${alert.toLowerCase()}`);
        return [alert];
      }),
    );
    const alerts = readRules().flatMap(({ alert }) => alert ?? []);
    expect([...new Set(linked)].sort()).toEqual(alerts.sort());
  });

  test('has the panels that the runbook names', () => {
    const runbook = readFileSync(join(DOCS, 'runbook.md'), 'utf8');
    const paragraphs = runbook
      .split('\n\n')
      .filter((text) => /^\*\*Diagnosis\.\*\* (The d|D)ashboard/.test(text));
    const named = paragraphs.flatMap((text) => [...text.matchAll(/“([^”]+)”/g)].map(([, title]) => title));
    expect(named.length).toBeGreaterThan(10);
    const titles = charts.map(({ title }) => title);
    expect(named.filter((title) => !titles.includes(String(title)))).toEqual([]);
  });

  test('has the rows that docs/metrics.md explains', () => {
    const [, section = ''] = readFileSync(join(DOCS, 'metrics.md'), 'utf8').split('\n## Dashboard\n');
    const explained = [...section.matchAll(/^\| ([A-Z][^|]*) \| [A-Z]/gm)].map(([, title]) => title);
    const rows = dashboard.panels.filter(({ type }) => type === 'row');
    expect(explained).toEqual(rows.map(({ title }) => title));
  });

  test('links to pages of docs/', () => {
    const urls = [...dashboard.links, ...charts.flatMap(({ links = [] }) => links)].map(({ url }) => url);
    for (const url of urls) {
      const [, page] = /^\$\{docs:raw\}\/([a-z]+\.md)(#[a-z]+)?$/.exec(url) ?? [];
      expect(readFileSync(join(DOCS, page ?? url), 'utf8')).toMatch(/^# /);
    }
    expect(dashboard.links.map(({ title }) => title)).toEqual(['Runbook', 'Reasons', 'Metrics']);
  });

  test('has the base URL of its links that the runbook replaces', () => {
    const docs = variables.find(({ name }) => name === 'docs');
    expect(docs).toMatchObject({ type: 'constant', hide: 2, skipUrlSync: true });
    expect(readFileSync(join(DOCS, 'runbook.md'), 'utf8')).toContain(`'s|${docs?.query}|https://`);
  });

  test('uses the selected data source in every panel', () => {
    expect(variables[0]).toMatchObject({ name: 'datasource', type: 'datasource' });
    const chosen = { type: 'prometheus', uid: '$datasource' };
    for (const { title, datasource } of [...plotted, ...targets]) expect(datasource, title).toEqual(chosen);
    for (const { name, datasource } of annotations) expect(datasource, name).toEqual(chosen);
  });

  test('uses every variable that it defines, and no other', () => {
    const known = ['__rate_interval', '__range', ...variables.map(({ name }) => name)];
    const used = new Set(
      [...JSON.stringify([dashboard.panels, dashboard.annotations]).matchAll(/\$\{?(\w+)/g)].map(
        ([, name = '']) => name,
      ),
    );
    expect([...used].sort()).toEqual([...known].sort());
  });

  test('names only metrics, labels and label values that the service has, Envoy has, or a rule records', () => {
    const envoy = documentedEnvoyNames();
    const recorded = readRules().flatMap(({ record }) => record ?? []);
    const unknown = queries.flatMap(({ title, expr }) =>
      unknownIn(withoutVariables(expr), { exposition, envoy, recorded }).map((text) => `${title}: ${text}`),
    );
    expect(unknown).toEqual([]);
  });

  test('fills its variables from metrics and labels of the service', () => {
    const definitions = variables.flatMap(({ name, definition }) =>
      definition ? [{ name, definition }] : [],
    );
    expect(definitions.map(({ name }) => name)).toEqual([
      'cluster',
      'namespace',
      'job',
      'instance',
      'policy',
    ]);
    const recorded = readRules().flatMap(({ record }) => record ?? []);
    for (const { definition } of definitions) {
      const expr = definition.replace(/^\w+\(/, '').replace(/(, \w+)?\)$/, '');
      expect(unknownIn(withoutVariables(expr), { exposition, envoy: [], recorded }), definition).toEqual([]);
    }
  });

  test('shows every metric of the service', () => {
    const used = new Set(
      targets.flatMap(({ expr }) => selectorsIn(withoutVariables(expr)).map(({ name }) => name)),
    );
    const unused = [...exposition.keys()]
      .filter((name) => name.startsWith('approov_') && !used.has(name))
      // A histogram is queried by its buckets.
      .filter((name) => !used.has(name.replace(/(_sum|_count)?$/, '_bucket')));
    expect(unused).toEqual([]);
  });
});

const noPromtool = await unmet([PROMTOOL], 'that every query of the dashboard is one');

describe.skipIf(noPromtool !== '')(`promtool${noPromtool}`, () => {
  test('accepts every query of the dashboard', async () => {
    await expectPromQl(
      queries.map(({ expr }) => withoutVariables(expr)),
      folder,
    );
  });
});
