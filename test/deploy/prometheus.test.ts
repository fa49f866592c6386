/** Checks deploy/prometheus with promtool, the service's metrics, the runbook, and a real Prometheus that scrapes the service and an Envoy. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import { send, startSample, startSampleService, startUpstream, type Upstream } from '../support/envoy.ts';
import { createCheckClient, requestWith } from '../support/grpc-client.ts';
import { type RunningService, startServe } from '../support/process.ts';
import {
  documentedEnvoyNames,
  type Exposition,
  PROMETHEUS,
  PROMETHEUS_FOLDER,
  PROMTOOL,
  parseExposition,
  RULE_TESTS,
  RULES,
  readRules,
  runbookSections,
  SEASONED_CONFIG,
  startSeasonedService,
  unknownIn,
} from '../support/prometheus.ts';
import { eventually, type RunningPrometheus, startPrometheus } from '../support/prometheus-server.ts';
import { unmet } from '../support/requirement.ts';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'prometheus-'));
const rules = readRules();
const alerts = rules.filter(({ alert }) => alert !== undefined);
const recorded = rules.flatMap(({ record }) => record ?? []);

let service: RunningService;
let metricsText: string;
let exposition: Exposition;

beforeAll(async () => {
  const config = join(folder, 'config.yaml');
  writeFileSync(config, SEASONED_CONFIG);
  service = await startSeasonedService(config);
  metricsText = await (await fetch(`http://${service.admin}/metrics`)).text();
  exposition = parseExposition(metricsText);
});
afterAll(async () => {
  await service?.kill();
  rmSync(folder, { recursive: true });
});

describe('rules.yaml', () => {
  test('names only metrics, labels and label values that the service has, Envoy has, or a rule records', () => {
    const envoy = documentedEnvoyNames();
    const unknown = rules.flatMap(({ expr, alert, record }) =>
      unknownIn(expr, { exposition, envoy, recorded }).map((text) => `${alert ?? record}: ${text}`),
    );
    expect(unknown).toEqual([]);
  });

  test('keeps clusters and namespaces apart in every grouping', () => {
    const groupings = rules.flatMap(({ expr }) => expr.match(/\b(by|on) \([^)]+\)/g) ?? []);
    expect(groupings.length).toBeGreaterThan(50);
    expect(groupings.filter((grouping) => !grouping.includes('(cluster, namespace, job'))).toEqual([]);
  });

  test.each(alerts)('$alert has a severity and a description, and links to its runbook section', (rule) => {
    expect(['critical', 'warning', 'info']).toContain(rule.labels?.['severity']);
    expect(Object.keys(rule.annotations ?? {}).sort()).toEqual(['description', 'runbook_url', 'summary']);
    expect(rule.annotations?.['runbook_url']).toBe(`docs/runbook.md#${String(rule.alert).toLowerCase()}`);
  });

  test.each(alerts)(
    '$alert has a section of the runbook that says what it means and what to do',
    ({ alert }) => {
      const section = runbookSections().get(String(alert)) ?? '';
      const parts = [...section.matchAll(/^\*\*(\w+)\.\*\*(?= \S|$)/gm)].map(([, part]) => part);
      expect(parts).toEqual(['Meaning', 'Diagnosis', 'Mitigation', 'Ignore']);
    },
  );

  test('has exactly the alerts that the lists of the runbook name', () => {
    const names = alerts.map(({ alert }) => alert).sort();
    const rows = [...(runbookSections().get('Thresholds') ?? '').matchAll(/^\| (Approov\w+) \| (\w+) /gm)];
    expect(rows.map(([, name]) => name).sort()).toEqual(names);
    expect([...runbookSections().keys()].filter((heading) => heading.startsWith('Approov')).sort()).toEqual(
      names,
    );
    const severities = Object.fromEntries(rows.map(([, name, severity]) => [name, severity]));
    expect(severities).toEqual(
      Object.fromEntries(alerts.map(({ alert, labels }) => [alert, labels?.['severity']])),
    );
  });

  test.each(alerts)('$alert has a case that fires and one that does not', ({ alert }) => {
    const cases = RULE_TESTS.flatMap((file) => {
      const { tests } = parse(readFileSync(file, 'utf8')) as {
        tests: { alert_rule_test?: { alertname: string; exp_alerts?: unknown[] }[] }[];
      };
      return tests.flatMap(({ alert_rule_test = [] }) => alert_rule_test);
    }).filter(({ alertname }) => alertname === alert);
    expect(cases.some(({ exp_alerts }) => exp_alerts !== undefined && exp_alerts.length > 0)).toBe(true);
    expect(cases.some(({ exp_alerts }) => exp_alerts === undefined)).toBe(true);
  });
});

const noPromtool = await unmet(
  [PROMTOOL],
  'that rules, their tests, the scrape configuration and /metrics are sound',
);

describe.skipIf(noPromtool !== '')(`promtool${noPromtool}`, () => {
  test('reports nothing about rules.yaml', async () => {
    const { stdout } = await run('promtool', ['check', 'rules', '--lint=all', '--lint-fatal', RULES]);
    expect(stdout).toContain(`SUCCESS: ${rules.length} rules found`);
  });

  test('passes every test case of the alerts, firing and silent', { timeout: 300_000 }, async () => {
    // Less garbage collection saves a quarter of the time.
    const env = { ...process.env, GOGC: '400' };
    const { stdout } = await run('promtool', ['test', 'rules', ...RULE_TESTS], { env });
    expect(stdout.match(/SUCCESS/g)).toHaveLength(RULE_TESTS.length);
  });

  test('accepts prometheus.yaml with the rules that it names', async () => {
    const { stdout } = await run('promtool', ['check', 'config', `${PROMETHEUS_FOLDER}prometheus.yaml`]);
    expect(stdout).toContain('prometheus.yaml is valid prometheus config file syntax');
    expect(stdout).toContain(`SUCCESS: ${rules.length} rules found`);
  });

  test('reports nothing about the metrics that the service itself defines', async () => {
    const child = spawn('promtool', ['check', 'metrics'], { stdio: ['pipe', 'ignore', 'pipe'] });
    let complaints = '';
    child.stderr.on('data', (chunk: Buffer) => {
      complaints += chunk.toString();
    });
    child.stdin.end(metricsText);
    await once(child, 'close');
    // Some of prom-client's Node gauges have names for counters.
    const own = complaints.split('\n').filter((line) => !/^(nodejs_active_\w+_total .*)?$/.test(line));
    expect(own).toEqual([]);
  });
});

const noPrometheus = await unmet(
  [PROMETHEUS],
  'that a real Prometheus reads the service and evaluates every rule',
);

describe.skipIf(noPrometheus !== '')(`a real Prometheus with prometheus.yaml${noPrometheus}`, () => {
  let prometheus: RunningPrometheus;
  /** An instance whose only key is at a URL that refuses connections. */
  let keyless: RunningService;
  let upstream: Upstream;
  let envoy: RunningEnvoy;
  /** The instance behind Envoy; a test stops it. */
  let asked: RunningService;

  beforeAll(async () => {
    upstream = await startUpstream();
    asked = await startSampleService();
    envoy = await startSample({ services: [asked.grpc], upstream: upstream.address });
    const keylessConfig = join(folder, 'keyless.yaml');
    writeFileSync(keylessConfig, KEYLESS_CONFIG);
    keyless = await startServe({}, ['--config', keylessConfig]);
    prometheus = await startPrometheus(
      { 'approov-ext-authz': { targets: [service.admin, keyless.admin] }, envoy: { targets: [envoy.admin] } },
      RULES,
    );
  });
  afterAll(async () => {
    await prometheus?.stop();
    await envoy?.stop();
    await asked?.kill();
    await upstream?.close();
    await keyless?.kill();
  });

  const query = (expr: string) => prometheus.query(expr);

  test('scrapes Envoy, and the service under the job that the rules select', async () => {
    const seen = await eventually('up is 1 of all', async () => {
      const samples = await query('up == 1');
      return samples.length === 3 ? samples : undefined;
    });
    const targets = seen.map(({ metric }) => `${metric['job']} ${metric['instance']}`);
    expect(targets.sort()).toEqual(
      [
        `approov-ext-authz ${service.admin}`,
        `approov-ext-authz ${keyless.admin}`,
        `envoy ${envoy.admin}`,
      ].sort(),
    );
    const missed = await query('approov_checks_total{policy="default", reason="missing_approov_token"}');
    expect(missed.map(({ value }) => value[1]).sort()).toEqual(['0', '1']);
  });

  test('evaluates every rule without an error', async () => {
    await eventually('up is 1', async () => (await query('up{job="approov-ext-authz"} == 1'))[0]);
    const scrapedAtMs = Date.now();
    const evaluated = await eventually('every rule has been evaluated on what was scraped', async () => {
      const { groups } = await prometheus.api<{ groups: { rules: EvaluatedRule[] }[] }>('rules');
      const states = groups.flatMap((group) => group.rules);
      return states.length > 0 &&
        states.every(({ lastEvaluation }) => Date.parse(lastEvaluation) > scrapedAtMs)
        ? states
        : undefined;
    });
    expect(evaluated).toHaveLength(rules.length);
    expect(
      evaluated.filter(({ health }) => health !== 'ok').map(({ name, lastError }) => [name, lastError]),
    ).toEqual([]);
  });

  test('evaluates every query of the rules without an error', async () => {
    for (const { expr } of rules) await expect(query(expr)).resolves.toBeInstanceOf(Array);
  });

  test('records the series that the rules use', async () => {
    const share = 'job_policy:approov_checks_unverified:ratio_rate5m';
    const client = createCheckClient(service.grpc);
    try {
      // Rates need an increase between two scrapes.
      await eventually(`${share} is there`, async () => {
        await client.check(requestWith({ 'approov-token': 'not.a.token' }));
        return (await query(`${share}{policy="default"}`))[0];
      });
    } finally {
      client.close();
    }
    const names = await prometheus.api<readonly string[]>('label/__name__/values');
    expect(names).toEqual(
      expect.arrayContaining(['job_key:approov_key_last_used_timestamp_seconds:max', share]),
    );
  });

  test('sees denials, unanswered checks and lost instances at a real Envoy', {
    timeout: 120_000,
  }, async () => {
    // As in the rule, but over seconds.
    const rise = (event: string) => {
      const rule = rules.find(({ record }) => record === `instance:envoy_ext_authz_${event}:increase5m`);
      return query(`(${rule?.expr.replaceAll('offset 5m', 'offset 5s')}) > 0`);
    };
    const seesRise = (event: string, status: number) =>
      eventually(`a rise of ${event}`, async () => {
        expect((await send(envoy)).status).toBe(status);
        return (await rise(event))[0]?.metric['instance'];
      });
    expect(await seesRise('denied', 401)).toBe(envoy.admin);
    expect(await rise('error')).toEqual([]);
    await asked.kill();
    expect(await seesRise('error', 503)).toBe(envoy.admin);
    const unhealthy = rules.find(({ alert }) => alert === 'ApproovEnvoySeesUnhealthy')?.expr ?? '';
    const seen = await eventually('the lost instance', async () => (await query(unhealthy))[0]);
    expect(seen).toMatchObject({
      metric: { instance: envoy.admin, envoy_cluster_name: 'approov_authz' },
      value: [expect.anything(), '0'],
    });
  });

  test('raises ApproovInternalErrors after a message that does not decode', async () => {
    const client = createCheckClient(service.grpc);
    try {
      await client.checkBytes(Buffer.from([0xff]));
    } finally {
      client.close();
    }
    const alert = await eventually('the alert fires', async () => {
      const { alerts: active } = await prometheus.api<{ alerts: ActiveAlert[] }>('alerts');
      return active.find(({ labels }) => labels['alertname'] === 'ApproovInternalErrors');
    });
    expect(alert).toMatchObject({ state: 'firing', labels: { policy: 'unknown', severity: 'critical' } });
  });

  test('has ApproovKeysNeverLoaded pending only for the instance whose keys cannot be fetched', async () => {
    expect((await fetch(`http://${keyless.admin}/readyz`)).status).toBe(503);
    const active = await eventually('the alert is pending', async () => {
      const { alerts: all } = await prometheus.api<{ alerts: ActiveAlert[] }>('alerts');
      const own = all.filter(({ labels }) => labels['alertname'] === 'ApproovKeysNeverLoaded');
      return own.length > 0 ? own : undefined;
    });
    expect(active.map(({ labels }) => labels['instance'])).toEqual([keyless.admin]);
  });
});

const KEYLESS_CONFIG = `keys: [{id: eu, jwksUrl: 'https://127.0.0.1:1/jwks.json'}]
policies: {default: {mode: enforce}}
`;

interface EvaluatedRule {
  readonly name: string;
  readonly health: string;
  readonly lastEvaluation: string;
  readonly lastError?: string;
}

interface ActiveAlert {
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
}
