/** Checks the dashboard and its provisioning with the service's metrics, promtool, and what Grafana requires. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { buildDashboard } from '../../scripts/grafana-dashboard.mjs';
import { runTool } from '../support/platform-tool.ts';
import type { RunningService } from '../support/process.ts';
import {
  documentedEnvoyNames,
  type Exposition,
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

const PROVISIONING = fileURLToPath(new URL('../../deploy/grafana/provisioning/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'grafana-'));
const dashboard = readDashboard();
const charts = dashboard.panels.filter(({ type }) => type !== 'row');
const targets = charts.flatMap(({ title, targets: all = [] }) => all.map((target) => ({ title, ...target })));
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

  test('has a row for each part of the service', () => {
    const rows = dashboard.panels.filter(({ type }) => type === 'row').map(({ title }) => title);
    expect(rows).toEqual([
      'Outcome by reason',
      'Would-deny by policy',
      'Keys and rotation',
      'Latency',
      'SDK status',
      'Token remaining',
      'Token cache',
      'Reloads',
      'Process',
      'Envoy',
    ]);
  });

  test('has unique panel ids, and unique query letters in each panel', () => {
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { title, targets: all = [] } of charts) {
      expect(new Set(all.map(({ refId }) => refId)).size, title).toBe(all.length);
    }
  });

  test('has no overlapping panels, and none beyond the 24 columns', () => {
    const cells = new Map<string, string>();
    for (const { title, gridPos } of dashboard.panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(cells.get(`${x},${y}`), `under ${title}`).toBeUndefined();
          cells.set(`${x},${y}`, title);
        }
      }
    }
  });

  test.each(charts)('has a description and a query for “$title”', ({ description, targets: all = [] }) => {
    expect(description).toMatch(/^[A-Z].{20,}\.$/);
    expect(all.length).toBeGreaterThan(0);
  });

  test('uses the selected data source in every panel', () => {
    expect(variables[0]).toMatchObject({ name: 'datasource', type: 'datasource' });
    const chosen = { type: 'prometheus', uid: '$datasource' };
    for (const { title, datasource } of [...charts, ...targets]) expect(datasource, title).toEqual(chosen);
  });

  test('uses every variable that it defines, and no other', () => {
    const known = ['__rate_interval', '__range', ...variables.map(({ name }) => name)];
    const used = new Set(
      [...JSON.stringify(dashboard.panels).matchAll(/\$\{?(\w+)/g)].map(([, name = '']) => name),
    );
    expect([...used].sort()).toEqual([...known].sort());
  });

  test('names only metrics, labels and label values that the service has, Envoy has, or a rule records', () => {
    const envoy = documentedEnvoyNames();
    const recorded = readRules().flatMap(({ record }) => record ?? []);
    const unknown = targets.flatMap(({ title, expr }) =>
      unknownIn(withoutVariables(expr), { exposition, envoy, recorded }).map((text) => `${title}: ${text}`),
    );
    expect(unknown).toEqual([]);
  });

  test('fills its variables from metrics and labels of the service', () => {
    const definitions = variables.flatMap(({ name, definition }) =>
      definition ? [{ name, definition }] : [],
    );
    expect(definitions.map(({ name }) => name)).toEqual(['namespace', 'job', 'instance', 'policy']);
    for (const { name, definition } of definitions) {
      const [, expr = '', label] = /^label_values\((.*), (\w+)\)$/.exec(definition) ?? [];
      expect(label).toBe(name);
      const [selector] = selectorsIn(withoutVariables(expr));
      const labels = exposition.get(selector?.name ?? '');
      expect(labels, definition).toBeDefined();
      if (name === 'policy') expect([...(labels?.get(name) ?? [])]).toContain('default');
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
    const file = join(folder, 'queries.yaml');
    const rules = targets.map(({ expr }, index) => ({
      record: `query${index}`,
      expr: withoutVariables(expr),
    }));
    writeFileSync(file, stringify({ groups: [{ name: 'dashboard', rules }] }));
    const { code, output } = await runTool('promtool', [
      'check',
      'rules',
      '--lint=all',
      '--lint-fatal',
      file,
    ]);
    expect(output).toContain(`SUCCESS: ${targets.length} rules found`);
    expect(code).toBe(0);
  });
});

describe('the provisioning', () => {
  test('connects to the Prometheus of the compose file, with its scrape interval', () => {
    const { datasources } = readYaml('datasources/prometheus.yaml');
    const { global } = readYaml('../../prometheus/prometheus.yaml');
    expect(datasources).toHaveLength(1);
    expect(datasources[0]).toMatchObject({
      type: 'prometheus',
      url: 'http://prometheus:9090',
      isDefault: true,
    });
    expect(datasources[0].jsonData.timeInterval).toBe(global.scrape_interval);
    const { services } = readYaml('../../docker-compose.yaml');
    expect(services).toHaveProperty('prometheus');
  });

  test('finds the dashboard where the compose file mounts it', () => {
    const { providers } = readYaml('dashboards/approov.yaml');
    const { services } = readYaml('../../docker-compose.yaml');
    const volumes = services.grafana.volumes as string[];
    expect(providers).toHaveLength(1);
    const { path } = providers[0].options as { path: string };
    expect(
      volumes.some((volume) => new RegExp(`^\\./grafana(/dashboard\\.json)?:${path}[/:]`).test(volume)),
    ).toBe(true);
    expect(volumes).toContain('./grafana/provisioning:/etc/grafana/provisioning:ro');
  });
});

// biome-ignore lint/suspicious/noExplicitAny: files of four schemas
function readYaml(file: string): Record<string, any> {
  return parse(readFileSync(join(PROVISIONING, file), 'utf8'), { merge: true });
}
