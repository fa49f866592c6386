/** Tests the names, labels and initial series of every metric, and the events that change them. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { SDK_STATUSES } from '../../../src/approov/sdk-status.ts';
import { REASON_NAMES } from '../../../src/authz/reason.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { createWorkerRestarts } from '../../../src/telemetry/primary-metrics.ts';
import { policy, policyTable } from '../../support/check.ts';
import { type CheckClient, createCheckClient, requestWith } from '../../support/grpc-client.ts';
import { PATIENCE } from '../../support/patience.ts';
import { type RunningService, startServe } from '../../support/process.ts';
import { freshToken, mintToken, OTHER_SECRET, OTHER_SECRET_BYTES, SECRET } from '../../support/token.ts';

type Series = ReadonlyMap<string, number>;

/** The value of each series of an exposition, by name and labels. */
function parseExposition(text: string): Series {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [
      line.slice(0, line.lastIndexOf(' ')),
      Number(line.slice(line.lastIndexOf(' ') + 1)),
    ]),
  );
}

function seriesOf(series: Series, metric: string): string[] {
  return [...series.keys()].filter((name) => name === metric || name.startsWith(`${metric}{`)).sort();
}

describe('metrics before the first check', () => {
  async function fresh(): Promise<{ text: string; series: Series }> {
    const metrics = createMetrics('1.2.3');
    createWorkerRestarts(metrics.registry);
    metrics.configured(policyTable(policy(), [], [policy({ name: 'open', mode: 'off' })]), [
      'current',
      'next',
    ]);
    const text = await metrics.registry.metrics();
    return { text, series: parseExposition(text) };
  }

  test.each([
    ['approov_checks_total', 'counter'],
    ['approov_check_duration_seconds', 'histogram'],
    ['approov_checks_in_flight', 'gauge'],
    ['approov_key_verifications_total', 'counter'],
    ['approov_key_last_used_timestamp_seconds', 'gauge'],
    ['approov_message_digest_unchecked_total', 'counter'],
    ['approov_sdk_status_total', 'counter'],
    ['approov_token_remaining_seconds', 'histogram'],
    ['approov_token_cache_lookups_total', 'counter'],
    ['approov_reloads_total', 'counter'],
    ['approov_reload_last_success_timestamp_seconds', 'gauge'],
    ['approov_policy_mode', 'gauge'],
    ['approov_policy_enforce_percent', 'gauge'],
    ['approov_ambiguous_requests_total', 'counter'],
    ['approov_checks_abandoned_total', 'counter'],
    ['approov_worker_restarts_total', 'counter'],
    ['approov_jwks_age_seconds', 'gauge'],
    ['approov_log_lines_suppressed_total', 'counter'],
    ['approov_replay_store_errors_total', 'counter'],
    ['approov_build_info', 'gauge'],
    ['process_cpu_seconds_total', 'counter'],
  ])('%s is a %s', async (name, type) => {
    expect((await fresh()).text).toContain(`# TYPE ${name} ${type}\n`);
  });

  test.each<[metric: string, labels: string[]]>([
    ['approov_key_verifications_total', ['key_id="current"', 'key_id="next"']],
    ['approov_key_last_used_timestamp_seconds', ['key_id="current"', 'key_id="next"']],
    ['approov_sdk_status_total', [...SDK_STATUSES, 'other'].map((status) => `status="${status}"`)],
    ['approov_token_cache_lookups_total', ['outcome="hit"', 'outcome="miss"']],
    [
      'approov_reloads_total',
      ['config', 'keys', 'jwks', 'tls'].flatMap((source) =>
        ['success', 'failure'].map((outcome) => `source="${source}",outcome="${outcome}"`),
      ),
    ],
    [
      'approov_reload_last_success_timestamp_seconds',
      ['config', 'keys', 'jwks', 'tls'].map((source) => `source="${source}"`),
    ],
    ['approov_ambiguous_requests_total', ['cause="path"', 'cause="host"']],
    ['approov_checks_abandoned_total', ['cause="cancelled"', 'cause="deadline"']],
    ['approov_log_lines_suppressed_total', REASON_NAMES.map((reason) => `reason="${reason}"`)],
    [
      'approov_check_duration_seconds_count',
      ['allow', 'limit', 'deny'].map((action) => `action="${action}"`),
    ],
  ])('%s is exposed as 0 for each label of its closed set', async (metric, labels) => {
    const { series } = await fresh();
    expect(seriesOf(series, metric)).toEqual(labels.map((label) => `${metric}{${label}}`).sort());
    for (const name of seriesOf(series, metric)) expect([name, series.get(name)]).toEqual([name, 0]);
  });

  test('approov_checks_total is exposed as 0 for each outcome that a policy can have, and for the two without a policy', async () => {
    const names = seriesOf((await fresh()).series, 'approov_checks_total');
    expect(names).toContain(
      'approov_checks_total{policy="open",mode="off",verdict="skipped",action="allow",reason="policy_off"}',
    );
    expect(names.filter((name) => name.includes('policy="open"'))).toHaveLength(1);
    expect(names.filter((name) => name.includes('policy="default"'))).toHaveLength(REASON_NAMES.length - 2);
    expect(names.filter((name) => name.includes('policy="unknown"'))).toEqual(
      ['internal_error', 'unknown_policy'].map(
        (reason) =>
          `approov_checks_total{policy="unknown",mode="unknown",verdict="unverified",action="deny",reason="${reason}"}`,
      ),
    );
  });

  test('approov_policy_mode and approov_build_info are 1, and a former mode has no series', async () => {
    const metrics = createMetrics('1.2.3');
    metrics.configured(policyTable(policy({ mode: 'observe' })), []);
    metrics.configured(policyTable(policy()), []);
    const series = parseExposition(await metrics.registry.metrics());
    expect(seriesOf(series, 'approov_policy_mode')).toEqual([
      'approov_policy_mode{policy="default",mode="enforce"}',
    ]);
    expect(series.get('approov_policy_mode{policy="default",mode="enforce"}')).toBe(1);
    expect(series.get('approov_build_info{version="1.2.3"}')).toBe(1);
  });

  test('a share of devices is exposed, with the outcomes of both modes that checks can have', async () => {
    const metrics = createMetrics('1.2.3');
    const policies = { default: 10, all: undefined, none: 0 };
    const [first = policy(), ...others] = Object.entries(policies).map(([name, enforcePercent]) =>
      policy({ name, enforcePercent }),
    );
    metrics.configured(policyTable(first, [], [...others, policy({ name: 'watched', mode: 'observe' })]), []);
    const series = parseExposition(await metrics.registry.metrics());
    const valuesOf = (metric: string) => seriesOf(series, metric).map((name) => [name, series.get(name)]);
    expect(valuesOf('approov_policy_enforce_percent')).toEqual([
      ['approov_policy_enforce_percent{policy="all"}', 100],
      ['approov_policy_enforce_percent{policy="default"}', 10],
      ['approov_policy_enforce_percent{policy="none"}', 0],
    ]);
    expect(valuesOf('approov_policy_mode')).toEqual([
      ['approov_policy_mode{policy="all",mode="enforce"}', 1],
      ['approov_policy_mode{policy="default",mode="enforce"}', 1],
      ['approov_policy_mode{policy="default",mode="observe"}', 1],
      ['approov_policy_mode{policy="none",mode="observe"}', 1],
      ['approov_policy_mode{policy="watched",mode="observe"}', 1],
    ]);
    const checks = seriesOf(series, 'approov_checks_total').filter((name) => name.includes('reason="ok"'));
    expect(checks.map((name) => /policy="(.*?)",mode="(.*?)"/.exec(name)?.slice(1).join(' '))).toEqual([
      'all enforce',
      'default enforce',
      'default observe',
      'none observe',
      'watched observe',
    ]);
  });

  test('approov_check_duration_seconds has buckets from 25 µs to 100 ms', async () => {
    const buckets = [...(await fresh()).series.keys()].flatMap(
      (name) => /^approov_check_duration_seconds_bucket\{le="([^"]+)",action="allow"\}/.exec(name)?.[1] ?? [],
    );
    expect([buckets[0], buckets.at(-2), buckets.at(-1)]).toEqual(['0.000025', '0.1', '+Inf']);
  });
});

describe('the metrics of a running service', () => {
  const folder = mkdtempSync(join(tmpdir(), 'metrics-'));
  let service: RunningService;
  let client: CheckClient;
  let before: Series;

  async function scrape(): Promise<Series> {
    const response = await fetch(`http://${service.admin}/metrics`);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    return parseExposition(await response.text());
  }

  /** The increase of each of our series since the test began. */
  async function rises(): Promise<Record<string, number>> {
    const entries = [...(await scrape())].map(([name, value]): [string, number] => [
      name,
      value - (before.get(name) ?? 0),
    ]);
    return Object.fromEntries(entries.filter(([name, rise]) => rise !== 0 && name.startsWith('approov_')));
  }

  function checks(policyName: string, mode: string, verdict: string, action: string, reason: string): string {
    return `approov_checks_total{policy="${policyName}",mode="${mode}",verdict="${verdict}",action="${action}",reason="${reason}"}`;
  }

  beforeAll(async () => {
    writeFileSync(join(folder, 'current'), SECRET);
    writeFileSync(join(folder, 'next'), OTHER_SECRET);
    const config = `keys: [{id: current, secretFile: ${folder}/current}, {id: next, secretFile: ${folder}/next}]
policies: {default: {}, limited: {mode: limit}}
routes: [{pathPrefix: /limited, policy: limited}]
`;
    writeFileSync(join(folder, 'config.yaml'), config);
    service = await startServe({}, ['--config', join(folder, 'config.yaml')]);
    client = createCheckClient(service.grpc);
  });

  beforeEach(async () => {
    before = await scrape();
  });

  afterAll(async () => {
    client.close();
    await service.kill();
    rmSync(folder, { recursive: true });
  });

  test('expose the policies and the load times of the start', () => {
    expect(before.get('approov_policy_mode{policy="limited",mode="limit"}')).toBe(1);
    for (const source of ['config', 'keys']) {
      const loaded = before.get(`approov_reload_last_success_timestamp_seconds{source="${source}"}`) ?? 0;
      expect(Math.abs(loaded - Date.now() / 1000)).toBeLessThan(120);
    }
  });

  test('count a verified check, its key, the remaining lifetime of its token, and the cache lookup', async () => {
    const exp = Math.floor(Date.now() / 1000) + 250;
    const token = mintToken({ exp }, { secret: OTHER_SECRET_BYTES });
    for (let count = 0; count < 2; count++) await client.check(requestWith({ 'approov-token': token }));
    const rise = await rises();
    expect(rise).toMatchObject({
      [checks('default', 'enforce', 'verified', 'allow', 'ok')]: 2,
      'approov_key_verifications_total{key_id="next"}': 2,
      'approov_check_duration_seconds_count{action="allow"}': 2,
      approov_token_remaining_seconds_count: 2,
      'approov_token_remaining_seconds_bucket{le="300"}': 2,
      'approov_token_cache_lookups_total{outcome="miss"}': 1,
      'approov_token_cache_lookups_total{outcome="hit"}': 1,
    });
    expect(rise).not.toHaveProperty('approov_key_verifications_total{key_id="current"}');
    expect(rise).not.toHaveProperty('approov_token_remaining_seconds_bucket{le="180"}');
    const used = (await scrape()).get('approov_key_last_used_timestamp_seconds{key_id="next"}') ?? 0;
    expect(Math.abs(used - Date.now() / 1000)).toBeLessThan(120);
  });

  test('count the key of an expired token, whose remaining lifetime is negative', async () => {
    const expired = mintToken({ exp: Math.floor(Date.now() / 1000) - 20 });
    await client.check(requestWith({ 'approov-token': expired }));
    const rise = await rises();
    expect(rise).toMatchObject({
      [checks('default', 'enforce', 'unverified', 'deny', 'token_expired')]: 1,
      'approov_key_verifications_total{key_id="current"}': 1,
      'approov_token_remaining_seconds_bucket{le="-10"}': 1,
    });
    expect(rise).not.toHaveProperty('approov_token_remaining_seconds_bucket{le="-30"}');
  });

  test('count the key of a signature over a payload that is not a JSON object', async () => {
    await client.check(requestWith({ 'approov-token': mintToken([]) }));
    expect(await rises()).toMatchObject({
      [checks('default', 'enforce', 'unverified', 'deny', 'invalid_token_format')]: 1,
      'approov_key_verifications_total{key_id="current"}': 1,
    });
  });

  test('count no key for an invalid signature', async () => {
    await client.check(requestWith({ 'approov-token': freshToken({}, { secret: Buffer.alloc(32, 'x') }) }));
    const names = Object.keys(await rises()).filter((name) =>
      /key_verifications|last_used|remaining/.test(name),
    );
    expect(names).toEqual([]);
  });

  test('count a limited check, and a message that does not decode', async () => {
    await client.check(requestWith({}, { path: '/limited' }));
    await client.checkBytes(Buffer.from([0xff]));
    expect(await rises()).toMatchObject({
      [checks('limited', 'limit', 'unverified', 'limit', 'missing_approov_token')]: 1,
      [checks('unknown', 'unknown', 'unverified', 'deny', 'internal_error')]: 1,
      'approov_check_duration_seconds_count{action="limit"}': 1,
      'approov_check_duration_seconds_count{action="deny"}': 1,
    });
  });

  test.each<[name: string, headers: Readonly<Record<string, string>>, status: string | undefined]>([
    ['the status header', { 'approov-status': 'no_network' }, 'no_network'],
    [
      'the status header next to a token, in any case',
      { 'approov-status': ' SUCCESS ', 'approov-token': 'x' },
      'success',
    ],
    ['a status word in the token header', { 'approov-token': 'MITM_DETECTED' }, 'mitm_detected'],
    [
      'the status header rather than the token header',
      { 'approov-token': 'bad_url', 'approov-status': 'rejected' },
      'rejected',
    ],
    ['an unknown word in the token header', { 'approov-token': 'SUNNY_DAY' }, 'other'],
    ['an unknown word in the status header', { 'approov-status': 'planted"} 1\n' }, 'other'],
    ['two words in the status header', { 'approov-status': 'success,rejected' }, 'other'],
    [
      'an empty status header (none is counted)',
      { 'approov-status': '', 'approov-token': 'planted1' },
      undefined,
    ],
  ])('count an SDK status from %s', async (_name, headers, status) => {
    await client.check(requestWith(headers));
    const rise = Object.entries(await rises()).filter(([name]) =>
      name.startsWith('approov_sdk_status_total'),
    );
    expect(rise).toEqual(status === undefined ? [] : [[`approov_sdk_status_total{status="${status}"}`, 1]]);
  });

  test('count suppressed log lines', async () => {
    await Promise.all(
      Array.from({ length: 200 }, () => client.check(requestWith({ 'approov-token': 'a,b' }))),
    );
    const name = 'approov_log_lines_suppressed_total{reason="duplicate_approov_token"}';
    const suppressed = (): unknown =>
      service
        .logLines()
        .filter(({ suppressed }) => suppressed !== undefined)
        .reduce((sum, line) => sum + Number(line['suppressed']), 0);
    const written = (): number =>
      service
        .logLines()
        .filter(({ reason, msg }) => reason === 'duplicate_approov_token' && msg === 'check failed').length;
    await vi.waitFor(() => expect(written() + Number(suppressed())).toBe(200), PATIENCE);
    await vi.waitFor(async () => expect((await rises())[name]).toBe(suppressed()), PATIENCE);
    expect(suppressed()).toBeGreaterThan(0);
  });

  test('count the checks in flight', async () => {
    const session = connectHttp2(`http://${service.grpc}`, { settings: { initialWindowSize: 0 } });
    const headers = {
      ':method': 'POST',
      ':path': '/envoy.service.auth.v3.Authorization/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    };
    for (let count = 0; count < 3; count++) session.request(headers).end(Buffer.alloc(5));
    await vi.waitFor(async () => expect((await scrape()).get('approov_checks_in_flight')).toBe(3), PATIENCE);
    session.settings({ initialWindowSize: 65_535 });
    await vi.waitFor(async () => expect((await scrape()).get('approov_checks_in_flight')).toBe(0), PATIENCE);
    session.close();
  });

  test('have no label and no series from a request', async () => {
    const planted = {
      'approov-token': 'planted',
      'approov-status': 'planted',
      'user-agent': 'planted',
      planted: 'planted',
    };
    const context = {
      attributes: {
        context_extensions: { approov_policy: 'planted' },
        request: { http: { headers: planted, method: 'planted', host: 'planted', path: '/planted' } },
      },
    };
    await client.check(context);
    await client.check(requestWith(planted, { method: 'planted', host: 'planted', path: '/planted' }));
    const after = await scrape();
    expect([...after.keys()].filter((name) => name.includes('planted'))).toEqual([]);
    expect(seriesOf(after, 'approov_checks_total').filter((name) => !before.has(name))).toEqual([]);
  });
});
