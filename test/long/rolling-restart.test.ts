/** Tests that repeated rolling restarts under a minute of load through envoy.yaml lose no request. */
import { performance } from 'node:perf_hooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import { startSample } from '../support/envoy.ts';
import { type PlainUpstream, startLoad, startPlainUpstream } from '../support/load.ts';
import { type CheckServer, healthyInstances, restartAll, startCheckServer } from '../support/restarts.ts';

const BAR_PER_SECOND = 500;
/** Random arrivals deviate a little from the requested rate. */
const PER_SECOND = 520;
const MINUTE_MS = 60_000;

let upstream: PlainUpstream;
let envoy: RunningEnvoy;
let instances: readonly CheckServer[];

beforeAll(async () => {
  upstream = await startPlainUpstream();
  instances = await Promise.all([startCheckServer(), startCheckServer()]);
  const services = instances.map((instance) => instance.service().grpc);
  envoy = await startSample({ services, upstream: upstream.address });
  await healthyInstances(envoy, instances.length);
});
afterAll(async () => {
  await envoy?.stop();
  await Promise.all(instances.map((instance) => instance.service().kill()));
  await upstream?.close();
});

test('rolling restarts for a minute lose no request', { timeout: 5 * MINUTE_MS }, async () => {
  const load = startLoad(envoy.port('api'), PER_SECOND);
  const endMs = performance.now() + MINUTE_MS;
  let restarts = 0;
  while (performance.now() < endMs) {
    expect(await restartAll(envoy, instances)).toEqual([0, 0]);
    restarts += instances.length;
  }
  const { sent, rate, failures } = await load.stop();
  const retries = (await envoy.stats('approov_authz.upstream_rq_retry$'))[
    'cluster.approov_authz.upstream_rq_retry'
  ];
  process.stderr.write(
    `${sent} requests, ${rate.toFixed(0)}/s, ${restarts} restarts, ${retries} retries: ${failures.length} failed\n`,
  );
  expect(failures).toEqual([]);
  expect(rate).toBeGreaterThanOrEqual(BAR_PER_SECOND);
});
