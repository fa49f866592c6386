/** Runs every query of the dashboard in a real Prometheus that scrapes the service and an Envoy, and compares what a panel shows. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import { close, expectedPanels } from '../support/dashboard-panels.ts';
import { send, startSample, startSampleService, startUpstream, type Upstream } from '../support/envoy.ts';
import { type RunningService, startServe } from '../support/process.ts';
import {
  chartsOf,
  type Panel,
  PROMETHEUS,
  RULES,
  readDashboard,
  SEASONED_CONFIG,
  sendChecks,
  withoutVariables,
} from '../support/prometheus.ts';
import { eventually, type RunningPrometheus, startPrometheus } from '../support/prometheus-server.ts';
import { unmet } from '../support/requirement.ts';
import { freshToken, mintToken, SECRET } from '../support/token.ts';

const dashboard = readDashboard();
const charts = chartsOf(dashboard).filter(({ type }) => type !== 'alertlist');
const folder = mkdtempSync(join(tmpdir(), 'grafana-queries-'));
const configFile = join(folder, 'config.yaml');

let upstream: Upstream;
/** The instance behind Envoy; it is not scraped. */
let asked: RunningService;
let envoy: RunningEnvoy;
let service: RunningService;
let prometheus: RunningPrometheus;
let startedSeconds: number;

const noPrometheus = await unmet([PROMETHEUS], 'that every panel of the dashboard shows what it should');

beforeAll(async () => {
  if (noPrometheus !== '') return;
  startedSeconds = Date.now() / 1000;
  writeFileSync(configFile, SEASONED_CONFIG);
  upstream = await startUpstream();
  [asked, service] = await Promise.all([
    startSampleService(),
    startServe({ APPROOV_BASE64_SECRET: SECRET }, ['--config', configFile]),
  ]);
  envoy = await startSample({ services: [asked.grpc], upstream: upstream.address });
  const rulesFile = join(folder, 'rules.yaml');
  // As in the rules, but over seconds.
  writeFileSync(rulesFile, readFileSync(RULES, 'utf8').replaceAll('offset 5m', 'offset 5s'));
  prometheus = await startPrometheus(
    {
      'approov-ext-authz': { targets: [service.admin] },
      // Only Envoy has the label, so the variable must match with and without it.
      envoy: { targets: [envoy.admin], labels: { cluster: 'eu' } },
    },
    rulesFile,
  );
  // A rate counts only what is added after the first scrape.
  await eventually(
    'the counters are scraped',
    async () => (await prometheus.query('approov_checks_total'))[0],
  );
  await sendChecks(service, tokensByPolicy());
  await eventually('the checks are scraped', async () => {
    const [sum] = await prometheus.query('sum(approov_checks_total)');
    return sum?.value[1] === '12' || undefined;
  });
});
afterAll(async () => {
  await prometheus?.stop();
  await envoy?.stop();
  await service?.kill();
  await asked?.kill();
  await upstream?.close();
  rmSync(folder, { recursive: true });
});

/**
 * The tokens of eleven checks; the twelfth does not decode. Of the checked ones, half under `default` and `search` and
 * three quarters under `trial` are unverified.
 */
function tokensByPolicy(): Readonly<Record<string, readonly string[]>> {
  const good = freshToken();
  const expired = mintToken({ exp: Math.floor(Date.now() / 1000) - 60 });
  return {
    default: [good, 'not.a.token'],
    trial: [good, '', '', 'not.a.token'],
    search: [good, expired],
    open: ['', ''],
    'not-configured': [good],
  };
}

/** The values of a panel by the text of their legend, or by their labels where it has no legend. */
async function shown(
  panel: Panel,
  chosen: Readonly<Record<string, string>> = {},
): Promise<Record<string, number>> {
  const entries: [string, number][] = [];
  for (const { expr, legendFormat } of panel.targets ?? []) {
    for (const { metric, value } of await prometheus.query(withoutVariables(expr, chosen))) {
      const text = legendFormat === '__auto' ? Object.values(metric).join(' ') : filled(legendFormat, metric);
      entries.push([text, Number(value[1])]);
    }
  }
  expect(new Set(entries.map(([text]) => text)).size, `legend of ${panel.title}`).toBe(entries.length);
  return Object.fromEntries(entries);
}

function filled(template: string, labels: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? '');
}

function panelOf(title: string): Panel {
  const panel = charts.find((chart) => chart.title === title);
  if (panel === undefined) throw new Error(`no panel ${title}`);
  return panel;
}

const ENVOY_PANELS = ['Failed checks', 'Responses', 'Healthy instances'];

/** The values that a variable offers. */
async function valuesOf(name: string): Promise<readonly string[]> {
  const { definition = '', regex } = dashboard.templating.list.find((entry) => entry.name === name) ?? {};
  const [, selector, label] = /^label_values\((.*), (\w+)\)$/.exec(definition) ?? [];
  if (selector !== undefined) {
    const match = encodeURIComponent(withoutVariables(selector));
    return prometheus.api(`label/${label}/values?match[]=${match}`);
  }
  const [, expr = ''] = /^query_result\((.*)\)$/.exec(definition) ?? [];
  const pattern = new RegExp((regex ?? '').slice(1, -1));
  // Grafana matches the pattern with each series as text.
  const texts = (await prometheus.query(withoutVariables(expr))).map(({ metric }) =>
    Object.entries(metric)
      .map(([key, value]) => `{${key}="${value}"} 1`)
      .join(),
  );
  return texts.flatMap((text) => pattern.exec(text)?.[1] ?? []).sort();
}

/** The title and text of every mark that an annotation has made so far. */
async function marks(name: string): Promise<string[]> {
  const annotation = dashboard.annotations.list.find((entry) => entry.name === name);
  const expr = withoutVariables(annotation?.target?.expr ?? '', { __rate_interval: '3s' });
  const series = await prometheus.queryRange(expr, startedSeconds);
  return series
    .filter(({ values }) => values.some(([, value]) => Number(value) > 0))
    .map(
      ({ metric }) =>
        `${filled(annotation?.titleFormat ?? '', metric)}: ${filled(annotation?.textFormat ?? '', metric)}`,
    );
}

describe.skipIf(noPrometheus !== '')(`in a real Prometheus${noPrometheus}`, () => {
  test('every panel about the service shows what was checked', async () => {
    const expected = expectedPanels(service.admin);
    const seen: Record<string, unknown> = {};
    for (const title of Object.keys(expected)) seen[title] = await shown(panelOf(title));
    expect(seen).toEqual(expected);
    const titles = charts.map(({ title }) => title);
    expect(titles.filter((title) => !(title in expected))).toEqual(ENVOY_PANELS);
  });

  test('the query of docs/metrics.md gives the same shares as the dashboard', async () => {
    const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
    const [, expr = ''] = /```promql\n(.*?)```/s.exec(page) ?? [];
    const shares = (await prometheus.query(expr)).map(({ metric, value }) => [
      metric['policy'],
      Number(value[1]),
    ]);
    expect(Object.fromEntries(shares)).toEqual({ trial: close(3 / 4), search: close(1 / 2) });
  });

  test('the row “Envoy” shows what Envoy got from the service, and what it did not get', async () => {
    const ok = `${envoy.admin}: ok`;
    const denied = `${envoy.admin}: denied`;
    const responses = await eventually('allowed and denied requests', async () => {
      expect((await send(envoy, { headers: [['approov-token', freshToken()]] })).status).toBe(200);
      expect((await send(envoy)).status).toBe(401);
      const values = await shown(panelOf('Responses'));
      return Number(values[ok]) > 0 && Number(values[denied]) > 0 ? values : undefined;
    });
    expect(Object.keys(responses).sort()).toEqual([denied, ok]);
    expect(await shown(panelOf('Failed checks'))).toEqual({
      [`${envoy.admin}: failed`]: 0,
      [`${envoy.admin}: allowed`]: 0,
    });
    expect(await shown(panelOf('Healthy instances'))).toEqual({ [`${envoy.admin}: approov_authz`]: 1 });
    await asked.kill();
    await eventually('failed checks', async () => {
      expect((await send(envoy)).status).toBe(503);
      return Number((await shown(panelOf('Failed checks')))[`${envoy.admin}: failed`]) > 0 || undefined;
    });
  });

  test('the row “Envoy” shows only the instances and clusters selected, whatever job and namespace are', async () => {
    for (const title of ENVOY_PANELS) {
      const chosen = { job: 'approov-ext-authz', namespace: 'approov' };
      expect(await shown(panelOf(title), { ...chosen, instance: envoy.admin }), title).not.toEqual({});
      expect(await shown(panelOf(title), { ...chosen, cluster: 'eu' }), title).not.toEqual({});
      expect(await shown(panelOf(title), { ...chosen, instance: service.admin }), title).toEqual({});
    }
  });

  test('no panel shows anything of other clusters', async () => {
    for (const panel of charts) {
      expect(await shown(panel, { cluster: 'elsewhere' }), panel.title).toEqual({});
    }
  });

  test('the variables list the policies, the jobs, and the instances of the service and of Envoy', async () => {
    await eventually('Envoy is listed', async () => (await valuesOf('instance')).length === 2 || undefined);
    expect(await valuesOf('cluster')).toEqual([]);
    expect(await valuesOf('namespace')).toEqual([]);
    expect(await valuesOf('job')).toEqual(['approov-ext-authz']);
    expect(await valuesOf('instance')).toEqual([envoy.admin, service.admin].sort());
    expect(await valuesOf('policy')).toEqual(['default', 'open', 'search', 'trial', 'unknown']);
  });

  test('the annotations mark reloads, changes of mode, and critical alerts', async () => {
    await eventually('the internal error raises an alert', async () => (await marks('Critical alerts'))[0]);
    expect(await marks('Critical alerts')).toEqual(['ApproovInternalErrors: unknown ']);
    for (const name of ['Reloads', 'Failed reloads', 'Mode changes']) expect(await marks(name)).toEqual([]);

    writeFileSync(configFile, SEASONED_CONFIG.replace('trial: {mode: observe}', 'trial: {mode: enforce}'));
    service.signal('SIGHUP');
    await eventually('the change of mode is marked', async () => (await marks('Mode changes'))[0]);
    expect(await marks('Mode changes')).toEqual(['Policy trial: mode enforce: ']);
    expect(await marks('Reloads')).toEqual(['Reloaded config: ']);
    expect(Object.keys(await shown(panelOf('Would be refused if enforced now')))).toEqual(['search (limit)']);

    writeFileSync(configFile, 'policies: {default: {mode: enforced}}\n');
    service.signal('SIGHUP');
    await eventually('the failed reload is marked', async () => (await marks('Failed reloads'))[0]);
    expect(await marks('Failed reloads')).toEqual([
      'Could not reload config: The last good state remains in use.',
    ]);
    expect(await marks('Mode changes')).toHaveLength(1);
    expect(await shown(panelOf('Reloads'))).toEqual({
      'config: success': expect.any(Number),
      'config: failure': expect.any(Number),
    });
  });
});
