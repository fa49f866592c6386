/** Owns the proof that deploy/envoy-gateway works: Envoy Gateway's own translation, a real Envoy, the real service. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RESULT_HEADERS } from '../../src/authz/result-header.ts';
import type { Mode } from '../../src/authz/verdict.ts';
import {
  backendAt,
  ENVOY_GATEWAY,
  type RunningEnvoyGateway,
  startEnvoyGateway,
  withBackends,
} from '../support/envoy-gateway.ts';
import { approovHeaders, poll, send, startUpstream, type Upstream } from '../support/gateway-traffic.ts';
import { freePort } from '../support/platform-tool.ts';
import type { RunningService } from '../support/process.ts';
import { unmet } from '../support/requirement.ts';
import {
  isKubernetesObject,
  readSample,
  type SampleObject,
  sampleFiles,
  withPorts,
} from '../support/sample-files.ts';
import { startConfiguredService } from '../support/sample-service.ts';
import { freshToken } from '../support/token.ts';

const FOLDER = 'envoy-gateway';
const skipped = await unmet([ENVOY_GATEWAY], 'that deploy/envoy-gateway refuses a request without a token');
const FORGED = Object.fromEntries(RESULT_HEADERS.map((name) => [name, 'forged']));
/** What rate-limit.yaml allows in a minute. */
const LIMIT = 20;

let upstream: Upstream;
let service: RunningService;
let gateway: RunningEnvoyGateway;
let port: number;

describe.skipIf(skipped !== '')(`the Envoy Gateway samples, served by Envoy Gateway${skipped}`, () => {
  beforeAll(async () => {
    upstream = await startUpstream();
    service = await startService('127.0.0.1:0', 'enforce');
    port = await freePort();
    const samples = sampleFiles(FOLDER).map((file) => [file, sample(file)]);
    gateway = await startEnvoyGateway({ ...Object.fromEntries(samples), backends: backends() }, port);
    const first = await poll(
      () => send(port),
      ({ status }) => status === 401,
    );
    if (first.status !== 401) throw new Error(`the first answer is ${first.status}: ${gateway.output()}`);
  });

  afterAll(async () => {
    await gateway?.stop();
    await service?.kill();
    await upstream?.stop();
  });

  test('a request without a token is refused and does not reach the upstream', async () => {
    const before = upstream.count();
    const { status, headers } = await send(port, { path: '/orders' });
    expect(status).toBe(401);
    expect(headers['www-authenticate']).toBe('Approov');
    expect(upstream.count()).toBe(before);
  });

  test('a valid token lets a request through, marked as verified', async () => {
    const { status, arrived } = await send(port, { headers: { 'approov-token': freshToken() } });
    expect(status).toBe(200);
    expect(approovHeaders(arrived)).toEqual({
      'x-approov-verdict': 'verified',
      'x-approov-action': 'allow',
    });
  });

  test('a token bound to a log-in is good with that log-in only', async () => {
    const token = freshToken({ pay: createHash('sha256').update('Bearer alice').digest('base64') });
    const as = (authorization: string) =>
      send(port, { headers: { 'approov-token': token, authorization } }).then(({ status }) => status);
    expect(await as('Bearer alice')).toBe(200);
    expect(await as('Bearer mallory')).toBe(401);
  });

  test('GET of exactly /healthz needs no token, and nothing else of that name does', async () => {
    const { status, arrived } = await send(port, { path: '/healthz' });
    expect(status).toBe(200);
    expect(approovHeaders(arrived)).toEqual({});
    expect((await send(port, { path: '/healthz', method: 'POST' })).status).toBe(401);
    expect((await send(port, { path: '/healthz/x' })).status).toBe(401);
    expect((await send(port, { path: '/healthz/../orders' })).status).toBe(401);
  });

  test('a CORS preflight is let through, another OPTIONS is not', async () => {
    const preflight = { origin: 'https://app.example.com', 'access-control-request-method': 'POST' };
    expect((await send(port, { method: 'OPTIONS', headers: preflight })).status).toBe(200);
    expect((await send(port, { method: 'OPTIONS' })).status).toBe(401);
  });

  test("a client's own x-approov-… headers never reach the upstream, checked or not", async () => {
    const unchecked = await send(port, { path: '/healthz', headers: FORGED });
    expect(unchecked.status).toBe(200);
    expect(approovHeaders(unchecked.arrived)).toEqual({});
    const checked = await send(port, { headers: { ...FORGED, 'approov-token': freshToken() } });
    expect(approovHeaders(checked.arrived)).toEqual({
      'x-approov-verdict': 'verified',
      'x-approov-action': 'allow',
    });
  });

  test('no alias of these headers does either, nor one that replaces method, path or host', async () => {
    const names = RESULT_HEADERS.map((name) => name.replaceAll('-', '.'));
    const headers = Object.fromEntries(
      [...names, 'x-http-method-override', 'x-original-url', 'x-forwarded-host'].map((name) => [
        name,
        'forged',
      ]),
    );
    const { arrived } = await send(port, { path: '/healthz', headers });
    expect(arrived).toBeDefined();
    expect(Object.entries(arrived?.headers ?? {}).filter(([, value]) => value === 'forged')).toEqual([]);
  });

  test.each(['/search/..;/orders', '/search/%2e%2e;/orders', '/search;/../orders', '/searching'])(
    '%s is no way into the weaker policy',
    async (path) => {
      expect((await send(port, { path })).status).toBe(401);
    },
  );

  test('a route chooses a policy by contextExtensions', async () => {
    const { status, arrived } = await send(port, { path: '/search' });
    expect(status).toBe(200);
    expect(approovHeaders(arrived)).toEqual({
      'x-approov-verdict': 'unverified',
      'x-approov-action': 'limit',
      'x-approov-reason': 'missing_approov_token',
    });
  });

  test('what is let through under limit is refused after a burst, and what is verified passes', async () => {
    const statuses: number[] = [];
    while (!statuses.includes(429) && statuses.length < 3 * LIMIT) {
      statuses.push((await send(port, { path: '/search' })).status);
    }
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(LIMIT - 1);
    expect(statuses.at(-1)).toBe(429);
    const verified = { 'approov-token': freshToken() };
    expect((await send(port, { path: '/search', headers: verified })).status).toBe(200);
    const forged = { 'x-approov-action': 'allow' };
    expect((await send(port, { path: '/search', headers: forged })).status).toBe(429);
  });

  test('in observe mode everything is let through, with what would have been refused marked', async () => {
    await restartService('observe');
    const { status, arrived } = await poll(
      () => send(port),
      (answer) => answer.status !== 503,
    );
    expect(status).toBe(200);
    expect(approovHeaders(arrived)).toEqual({
      'x-approov-verdict': 'unverified',
      'x-approov-action': 'allow',
      'x-approov-reason': 'missing_approov_token',
    });
    await restartService('enforce');
  });

  test('while the service is down the client sees 503, and unchecked routes go on', async () => {
    await service.kill();
    const valid = { 'approov-token': freshToken() };
    expect((await send(port, { headers: valid })).status).toBe(503);
    expect((await send(port, { path: '/healthz' })).status).toBe(200);
    await restartService('enforce');
    const back = await poll(
      () => send(port, { headers: valid }),
      ({ status }) => status !== 503,
    );
    expect(back.status).toBe(200);
  });

  test('a SecurityPolicy whose service is not there answers 500 to everything it covers', async () => {
    const valid = { 'approov-token': freshToken() };
    const until = (wanted: number) =>
      poll(
        () => send(port, { headers: valid }),
        ({ status }) => status === wanted,
      );
    gateway.write('backends', backends().slice(0, 1));
    expect((await until(500)).status).toBe(500);
    gateway.write('backends', backends());
    expect((await until(200)).status).toBe(200);
  });

  test('taking the SecurityPolicies away lets every request through again', async () => {
    gateway.write('security-policy.yaml', []);
    const { status } = await poll(
      () => send(port),
      (answer) => answer.status === 200,
    );
    expect(status).toBe(200);
    gateway.write('security-policy.yaml', sample('security-policy.yaml'));
  });
});

function startService(address: string, mode: Mode): Promise<RunningService> {
  return startConfiguredService(FOLDER, address, { APPROOV_MODE: mode });
}

/** Starts the service again where Envoy expects it. */
async function restartService(mode: Mode): Promise<void> {
  await service.kill();
  service = await startService(service.grpc, mode);
}

function sample(file: string): SampleObject[] {
  return readSample(FOLDER, file)
    .filter(isKubernetesObject)
    .map((object) => withBackends(withPorts(object, { 80: port })));
}

/** The Services that the samples name. */
function backends(): SampleObject[] {
  return [
    backendAt('api', 'api', `127.0.0.1:${upstream.port}`),
    backendAt('api', 'approov-ext-authz', service.grpc, ['gateway.envoyproxy.io/h2c']),
  ];
}
