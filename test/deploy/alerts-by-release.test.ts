/** Tests with promtool that two releases in one Prometheus each raise their own alerts, and once. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { CHART } from '../support/chart.ts';
import { runToolOrThrow } from '../support/platform-tool.ts';
import { PROMTOOL, type Rule, readRules, selectorsIn } from '../support/prometheus.ts';
import { HELM, unmet } from '../support/requirement.ts';
import { parseObjects } from '../support/sample-files.ts';

const run = promisify(execFile);

interface RuleGroups {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

/** The rules that the chart renders for a release in a namespace. */
async function rulesOf(
  release: string,
  namespace: string,
  monitoring: object,
  values: object = {},
): Promise<RuleGroups> {
  const options = ['--namespace', namespace, '--set-json', `monitoring=${JSON.stringify(monitoring)}`];
  for (const [name, value] of Object.entries(values)) options.push('--set', `${name}=${value}`);
  const text = await runToolOrThrow('helm', ['template', release, CHART, ...options]);
  const rule = parseObjects(text, 'helm template').find((object) => object?.kind === 'PrometheusRule');
  return rule?.['spec'] as RuleGroups;
}

describe('rules.yaml', () => {
  test('has the job that the chart replaces in every selector', () => {
    const selectors = readRules().flatMap(({ expr }) => selectorsIn(expr));
    expect(selectors.length).toBeGreaterThan(80);
    for (const selector of selectors) {
      expect(selector.matchers, selector.name).toContainEqual({
        label: 'job',
        operator: '=~',
        value: expect.stringMatching(/^\.\+$|^\.\*approov-ext-authz\.\*$/),
      });
    }
  });
});

const unmade = await unmet([HELM, PROMTOOL], 'that two releases in one Prometheus alert for themselves');

describe.skipIf(unmade !== '')(`two releases in one Prometheus${unmade}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'alerts-by-release-'));
  let gate: RuleGroups;
  let authz: RuleGroups;

  beforeAll(async () => {
    gate = await rulesOf(
      'first',
      'shop',
      { rules: true, scrape: 'PodMonitor', envoy: { job: 'edge' } },
      { fullnameOverride: 'gate' },
    );
    authz = await rulesOf('approov-ext-authz', 'bank', { rules: true, scrape: 'ServiceMonitor' });
    writeFileSync(join(folder, 'gate.yaml'), stringify(gate));
    writeFileSync(join(folder, 'authz.yaml'), stringify(authz));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** The result of promtool, which fails on any extra or missing alert. */
  async function promtool(name: string, testCase: object): Promise<string> {
    const file = join(folder, `${name}.test.yaml`);
    const tests = [{ interval: '15s', ...testCase }];
    const order = ['approov-recording', 'approov-lock-out'];
    writeFileSync(
      file,
      stringify({
        rule_files: ['gate.yaml', 'authz.yaml'],
        evaluation_interval: '15s',
        group_eval_order: order,
        tests,
      }),
    );
    const { stdout } = await run('promtool', ['test', 'rules', file]);
    return stdout;
  }

  const fires = (alertname: string, minutes: number, labels: object, annotations: object) => ({
    alertname,
    eval_time: `${minutes}m`,
    exp_alerts: [
      {
        exp_labels: labels,
        exp_annotations: { ...annotations, runbook_url: `docs/runbook.md#${alertname.toLowerCase()}` },
      },
    ],
  });

  test('are valid for promtool', async () => {
    const { stdout } = await run('promtool', [
      ...['check', 'rules', '--lint=all', '--lint-fatal'],
      join(folder, 'gate.yaml'),
      join(folder, 'authz.yaml'),
    ]);
    expect(stdout.match(/SUCCESS/g)).toHaveLength(2);
  });

  test('select only their own job and namespace, and Envoy when a release names it', () => {
    const scopes = (rules: RuleGroups, isEnvoy: boolean) => {
      const texts = rules.groups
        .filter(({ name }) => name.startsWith('approov-envoy') === isEnvoy)
        .flatMap((group) => group.rules)
        .flatMap(({ expr }) => selectorsIn(expr))
        .map(({ matchers }) =>
          matchers
            .filter(({ label }) => label === 'job' || label === 'namespace')
            .map(({ label, operator, value }) => `${label}${operator}${value}`)
            .join(),
        );
      return [...new Set(texts)];
    };
    expect(scopes(gate, false)).toEqual(['job=shop/gate,namespace=shop']);
    expect(scopes(authz, false)).toEqual(['job=approov-ext-authz,namespace=bank']);
    expect(scopes(gate, true)).toEqual(['job=edge']);
    expect(scopes(authz, true)).toEqual([]);
  });

  test('use another job name when the values have one', async () => {
    const { groups } = await rulesOf('a', 'shop', { rules: true, job: 'renamed' });
    expect(JSON.stringify(groups)).toContain(String.raw`up{job=\"renamed\", namespace=\"shop\"} == 0`);
  });

  test('alert for the release that is down only', async () => {
    const inBank = 'namespace="bank", job="approov-ext-authz", instance="2"';
    const inShop = 'namespace="shop", job="shop/gate", instance="1"';
    const labels = { namespace: 'shop', job: 'shop/gate' };
    const output = await promtool('down', {
      input_series: [
        { series: `up{${inShop}}`, values: '1x20 0x60' },
        { series: `approov_build_info{${inShop}, version="0.1.0"}`, values: '1x20 stale' },
        { series: `up{${inBank}}`, values: '1x80' },
        { series: `approov_build_info{${inBank}, version="0.1.0"}`, values: '1x80' },
      ],
      alert_rule_test: [
        { alertname: 'ApproovInstanceDown', eval_time: '5m' },
        { alertname: 'ApproovServiceAbsent', eval_time: '5m' },
        fires(
          'ApproovInstanceDown',
          15,
          { ...labels, severity: 'warning', instance: '1' },
          {
            summary: '1 is down',
            description: 'Prometheus has not been able to scrape 1 for 3 minutes.',
          },
        ),
        fires(
          'ApproovServiceAbsent',
          15,
          { ...labels, severity: 'critical' },
          {
            summary: 'No instance of approov-ext-authz is up in job shop/gate',
            description:
              'Prometheus scrapes no instance of approov-ext-authz in job shop/gate. All are down, or none is a scrape target; in either case the other alerts cannot fire.',
          },
        ),
      ],
    });
    expect(output).toContain('SUCCESS');
  });

  test('alert for the release that Prometheus has never scraped', async () => {
    const output = await promtool('absent', {
      input_series: [
        {
          series: 'approov_build_info{namespace="shop", job="shop/gate", instance="1", version="0.1.0"}',
          values: '1x80',
        },
      ],
      alert_rule_test: [
        fires(
          'ApproovServiceAbsent',
          15,
          { namespace: 'bank', job: 'approov-ext-authz', severity: 'critical' },
          {
            summary: 'No instance of approov-ext-authz is up in job approov-ext-authz',
            description:
              'Prometheus scrapes no instance of approov-ext-authz in job approov-ext-authz. All are down, or none is a scrape target; in either case the other alerts cannot fire.',
          },
        ),
      ],
    });
    expect(output).toContain('SUCCESS');
  });

  test('alert within two minutes for the release that denies every request only', async () => {
    const checks = (namespace: string, job: string, outcome: string) =>
      `approov_checks_total{namespace="${namespace}", job="${job}", policy="default", mode="enforce", ${outcome}}`;
    const verified = 'verdict="verified", action="allow", reason="ok"';
    const refused = 'verdict="unverified", action="deny", reason="invalid_token_signature"';
    const labels = { namespace: 'shop', job: 'shop/gate', policy: 'default', severity: 'critical' };
    const output = await promtool('refused', {
      input_series: [
        { series: checks('shop', 'shop/gate', verified), values: '0+60x80 4800x80' },
        { series: checks('shop', 'shop/gate', refused), values: '0x80 60+60x79' },
        { series: checks('bank', 'approov-ext-authz', verified), values: '0+60x160' },
        { series: checks('bank', 'approov-ext-authz', refused), values: '0x160' },
      ],
      alert_rule_test: [
        { alertname: 'ApproovLockOut', eval_time: '20m' },
        fires('ApproovLockOut', 22, labels, {
          summary: 'Policy default of shop/gate denies nearly every request',
          description:
            '100% of requests are denied, and less than a fifth of the traffic allowed in the previous hour is still allowed. Real users are locked out.',
        }),
        fires('ApproovUnverifiedShareHigh', 39, labels, {
          summary: 'Policy default denies or limits many requests',
          description:
            '100% of the requests checked by policy default are unverified, and its mode is not observe. Real users may be locked out.',
        }),
      ],
    });
    expect(output).toContain('SUCCESS');
  });
});
