/** Tests what clients see of restarts, crashes and renewed connections: two instances behind envoy.yaml, under load. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import { EXT_AUTHZ, eventually, type Sample, startSample } from '../support/envoy.ts';
import { type Load, type PlainUpstream, startLoad, startPlainUpstream } from '../support/load.ts';
import { type CheckServer, healthyInstances, restartAll, startCheckServer } from '../support/restarts.ts';

const PER_SECOND = 150;
/** The requests of about one second, sent before and after each event. */
const SOME = PER_SECOND;

const folder = mkdtempSync(join(tmpdir(), 'drain-'));
let upstream: PlainUpstream;
let envoy: RunningEnvoy;
let one: CheckServer;
let other: CheckServer;

beforeAll(async () => {
  upstream = await startPlainUpstream();
});
afterAll(async () => {
  await upstream?.close();
  rmSync(folder, { recursive: true });
});

async function start(config: string, change?: (sample: Sample) => void): Promise<void> {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, config);
  [one, other] = await Promise.all([
    startCheckServer(['--config', file]),
    startCheckServer(['--config', file]),
  ]);
  const services = [one, other].map((instance) => instance.service().grpc);
  envoy = await startSample({ services, upstream: upstream.address }, change);
  await healthyInstances(envoy, 2);
}

async function stop(): Promise<void> {
  await envoy.stop();
  await Promise.all([one, other].map((instance) => instance.service().kill()));
}

function withoutRetries({ httpFilter }: Sample): void {
  httpFilter(EXT_AUTHZ).deleteIn(['grpc_service', 'retry_policy']);
}

/** Waits until this number of further requests has completed. */
async function more(load: Load, count: number): Promise<void> {
  const goal = load.ended + count;
  await eventually(() => load.ended >= goal || undefined);
}

async function checksOf(instance: CheckServer): Promise<number> {
  const text = await (await fetch(`http://${instance.service().admin}/metrics`)).text();
  const counts = text.matchAll(/^approov_checks_total\{.*\} (\d+)$/gm);
  return Array.from(counts, ([, count]) => Number(count)).reduce((sum, count) => sum + count, 0);
}

async function clusterStat(name: string): Promise<number | undefined> {
  return (await envoy.stats(`^cluster\\.approov_authz\\.${name}$`))[`cluster.approov_authz.${name}`];
}

/** Prints numbers that depend on timing, so that they cannot be asserted. */
function report(line: string): void {
  process.stderr.write(`${line}\n`);
}

describe('with two instances', () => {
  beforeAll(() => start('{}'));
  beforeEach(() => healthyInstances(envoy, 2));
  afterAll(stop);

  test('SIGTERM to one loses no request', async () => {
    const load = startLoad(envoy.port('api'), PER_SECOND);
    await more(load, SOME);
    expect(await checksOf(one)).toBeGreaterThan(0);
    one.service().signal('SIGTERM');
    expect(await one.service().ended).toBe(0);
    await more(load, SOME);
    expect((await load.stop()).failures).toEqual([]);
    await one.start();
  });

  test('a rolling restart loses no request', async () => {
    const load = startLoad(envoy.port('api'), PER_SECOND);
    await more(load, SOME);
    expect(await restartAll(envoy, [one, other])).toEqual([0, 0]);
    await more(load, SOME);
    expect((await load.stop()).failures).toEqual([]);
    expect(await checksOf(one)).toBeGreaterThan(0);
    expect(await checksOf(other)).toBeGreaterThan(0);
  });

  test('kill -9 of one loses at most the requests in flight at that moment', async () => {
    const load = startLoad(envoy.port('api'), PER_SECOND);
    await more(load, SOME);
    const openAtKill = new Set(load.open());
    const sentAtKill = load.sent;
    other.service().signal('SIGKILL');
    expect(await other.service().ended).toBeNull();
    const sentAtEnd = load.sent;
    await more(load, SOME);
    const { failures, sent } = await load.stop();
    report(
      `kill -9 of one of two instances: of ${sent} requests, ${openAtKill.size} were in flight and ${failures.length} failed`,
    );
    const wasOnTheWay = (index: number): boolean =>
      openAtKill.has(index) || (index >= sentAtKill && index < sentAtEnd);
    expect(failures.filter(({ index }) => !wasOnTheWay(index))).toEqual([]);
    expect(failures.filter(({ result }) => result !== '503')).toEqual([]);
    await other.start();
  });
});

test('a drain loses no request without retries either, as health checks move Envoy to the other instance first', async () => {
  // Longer than the default, as health checks may be late on a busy machine.
  await start('drain: {delaySeconds: 8}', withoutRetries);
  try {
    const load = startLoad(envoy.port('api'), PER_SECOND);
    await more(load, SOME);
    expect(await checksOf(one)).toBeGreaterThan(0);
    one.service().signal('SIGTERM');
    expect(await one.service().ended).toBe(0);
    expect((await load.stop()).failures).toEqual([]);
  } finally {
    await stop();
  }
});

describe('a connection', () => {
  const RENEWALS = 6;
  afterEach(stop);

  async function loadOverRenewals() {
    const before = (await clusterStat('upstream_cx_close_notify')) ?? 0;
    const load = startLoad(envoy.port('api'), PER_SECOND);
    await eventually(
      async () => Number(await clusterStat('upstream_cx_close_notify')) >= before + RENEWALS || undefined,
    );
    return load.stop();
  }

  test('that is renewed every two seconds loses no request with the retries of envoy.yaml', async () => {
    await start('connection: {maxAgeSeconds: 2}');
    expect((await loadOverRenewals()).failures).toEqual([]);
  });

  test('that is renewed fails only checks that meet its GOAWAY when there are no retries, with 503', async () => {
    await start('connection: {maxAgeSeconds: 2}', withoutRetries);
    const { failures, sent } = await loadOverRenewals();
    report(
      `renewed connections without retries: ${failures.length} of ${sent} requests failed in ${RENEWALS} renewals`,
    );
    expect(failures.filter(({ result }) => result !== '503')).toEqual([]);
    expect(failures.length).toBeLessThan(sent);
  });

  test('is not closed because of a PING every second', async () => {
    await start('{}', ({ document }) => {
      const options = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
      const keepalive = ['explicit_http_config', 'http2_protocol_options', 'connection_keepalive'];
      const path = [
        'static_resources',
        'clusters',
        0,
        'typed_extension_protocol_options',
        options,
        ...keepalive,
      ];
      expect(document.getIn([...path, 'interval'])).toBe('10s');
      document.setIn([...path, 'interval'], '1s');
      // A busy machine may answer late, which is not what this tests.
      document.setIn([...path, 'timeout'], '20s');
    });
    const load = startLoad(envoy.port('api'), PER_SECOND);
    await more(load, 6 * PER_SECOND);
    const { failures } = await load.stop();
    expect(failures).toEqual([]);
    expect(
      await envoy.stats(
        '^cluster\\.approov_authz\\.(upstream_cx_close_notify|upstream_cx_destroy|http2\\.keepalive_timeout)$',
      ),
    ).toEqual({
      'cluster.approov_authz.upstream_cx_close_notify': 0,
      'cluster.approov_authz.upstream_cx_destroy': 0,
      'cluster.approov_authz.http2.keepalive_timeout': 0,
    });
  });
});
