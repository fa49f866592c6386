/** Owns the proof that deploy/istio works at a gateway: Istio's own configuration of a real Envoy, the real service. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RESULT_HEADERS } from '../../src/authz/result-header.ts';
import type { Mode } from '../../src/authz/verdict.ts';
import { approovHeaders, poll, send, startUpstream, type Upstream } from '../support/gateway-traffic.ts';
import {
  endpointsAt,
  ISTIOD,
  MACHINE_ADDRESS,
  machineAddress,
  type RunningIstio,
  startIstio,
} from '../support/istio.ts';
import { KUBERNETES_API, type KubernetesApi, startKubernetesApi } from '../support/kubernetes-api.ts';
import { freePort } from '../support/platform-tool.ts';
import type { RunningService } from '../support/process.ts';
import { unmet } from '../support/requirement.ts';
import { readSample, type SampleObject, withPorts } from '../support/sample-files.ts';
import { startConfiguredService } from '../support/sample-service.ts';
import { freshToken } from '../support/token.ts';

const FOLDER = 'istio';
/** Those for a gateway; the others need pods with sidecars, waypoints or certificates. */
const SERVED = [
  'authz-service.yaml',
  'destination-rule.yaml',
  'gateway.yaml',
  'gateway-authorization.yaml',
  'remove-forged-headers.yaml',
  'rate-limit.yaml',
  'retry.yaml',
];
const AUTHZ_HOST = 'approov-ext-authz-mesh.approov.svc.cluster.local';
const FORGED = Object.fromEntries(RESULT_HEADERS.map((name) => [name, 'forged']));
/** What rate-limit.yaml allows in a minute. */
const LIMIT = 20;

const skipped = await unmet(
  [...KUBERNETES_API, ISTIOD, MACHINE_ADDRESS],
  'that deploy/istio refuses a request without a token',
);

let api: KubernetesApi;
let istio: RunningIstio;
let upstream: Upstream;
let service: RunningService;
let port: number;

describe.skipIf(skipped !== '')(`the Istio samples, served by istiod${skipped}`, () => {
  beforeAll(async () => {
    upstream = await startUpstream(machineAddress());
    service = await startService(`${machineAddress()}:0`, 'enforce');
    port = await freePort();
    api = await startKubernetesApi(['istio'], ['istio-system', 'istio-ingress', 'api', 'approov']);
    await api.apply(SERVED.flatMap(sample));
    await api.apply([
      upstreamService(),
      endpointsAt('api', 'api', 'http', `${machineAddress()}:${upstream.port}`),
      endpointsAt('approov', 'approov-ext-authz-mesh', 'grpc', service.grpc),
    ]);
    const [values] = readSample(FOLDER, 'mesh-config.yaml');
    const gateway = { namespace: 'istio-ingress', labels: { istio: 'ingressgateway' } };
    istio = await startIstio(api, values?.['meshConfig'], gateway);
    const first = await poll(
      () => send(port),
      ({ status }) => status === 401,
    );
    if (first.status !== 401) throw new Error(`the first answer is ${first.status}: ${istio.istiodOutput()}`);
  });

  afterAll(async () => {
    await istio?.stop();
    await api?.stop();
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

  test('a check has 0.2 s for two tries, and an authority that HTTP/2 servers take', async () => {
    const [filter] = await istio.configured('envoy.filters.http.ext_authz');
    expect(filter?.['typed_config'].grpc_service).toEqual({
      envoy_grpc: { cluster_name: `outbound|9001||${AUTHZ_HOST}`, authority: AUTHZ_HOST },
      timeout: '0.200s',
      initial_metadata: [{ key: 'x-envoy-upstream-rq-per-try-timeout-ms', value: '100' }],
      retry_policy: {
        num_retries: 1,
        retry_on: 'connect-failure,refused-stream,reset,unavailable',
        retry_back_off: { base_interval: '0.005s', max_interval: '0.100s' },
      },
    });
    const [cluster] = await istio.configured(`outbound|9001||${AUTHZ_HOST}`);
    expect(cluster).toMatchObject({
      type: 'EDS',
      connect_timeout: '0.100s',
      lb_policy: 'LEAST_REQUEST',
      circuit_breakers: {
        thresholds: [{ retry_budget: { budget_percent: { value: 20 }, min_retry_concurrency: 20 } }],
      },
      outlier_detection: { consecutive_5xx: 10, max_ejection_percent: 50 },
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
    expect((await send(port, { path: '/healthz', method: 'HEAD' })).status).toBe(200);
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

  test('no alias of these headers does either', async () => {
    const names = RESULT_HEADERS.flatMap((name) => [name.replaceAll('-', '_'), name.replaceAll('-', '.')]);
    const forged = Object.fromEntries(names.map((name) => [name, 'forged']));
    for (const message of [{ path: '/healthz' }, { headers: { 'approov-token': freshToken() } }]) {
      const { arrived } = await send(port, { ...message, headers: { ...message.headers, ...forged } });
      expect(arrived).toBeDefined();
      expect(Object.entries(arrived?.headers ?? {}).filter(([, value]) => value === 'forged')).toEqual([]);
    }
  });

  test("the service's own routes choose the policy", async () => {
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
    expect((await send(port, { path: '/healthz' })).status).toBe(200);
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

  test('while the service is down the client sees 503, and exempt paths go on', async () => {
    await service.kill();
    const valid = { 'approov-token': freshToken() };
    expect((await send(port, { headers: valid })).status).toBe(503);
    expect((await send(port, { path: '/healthz' })).status).toBe(200);
    await restartService('enforce');
    expect((await until(200)).status).toBe(200);
  });

  test('a port that is not named grpc is spoken to in HTTP/1.1, so every check fails', async () => {
    const service = JSON.parse(JSON.stringify(sample('authz-service.yaml')[0]));
    service.spec.ports = [{ name: 'web', port: 9001, targetPort: 9001 }];
    await api.apply([service, endpointsOfAuthz('web')]);
    expect((await until(503)).status).toBe(503);
    await api.apply([...sample('authz-service.yaml'), endpointsOfAuthz('grpc')]);
    expect((await until(200)).status).toBe(200);
  });

  test('a provider that the mesh configuration lacks answers 403 to every matching path', async () => {
    const [policy] = sample('gateway-authorization.yaml');
    await api.apply([{ ...policy, spec: { ...policy?.['spec'], provider: { name: 'nope' } } }]);
    expect((await until(403)).status).toBe(403);
    expect((await send(port, { path: '/healthz' })).status).toBe(200);
    expect(istio.istiodOutput()).toContain('available providers are [approov] but found "nope"');
    await api.apply(sample('gateway-authorization.yaml'));
    expect((await until(200)).status).toBe(200);
  });

  test('taking the AuthorizationPolicy away lets every request through again', async () => {
    await api.kubectl('delete', 'authorizationpolicy', 'approov', '--namespace=istio-ingress');
    const { status } = await poll(
      () => send(port),
      (answer) => answer.status === 200,
    );
    expect(status).toBe(200);
  });
});

/** Asks with a valid token until the status is the wanted one. */
function until(wanted: number) {
  const headers = { 'approov-token': freshToken() };
  return poll(
    () => send(port, { headers }),
    ({ status }) => status === wanted,
  );
}

function startService(address: string, mode: Mode): Promise<RunningService> {
  return startConfiguredService(FOLDER, address, { APPROOV_MODE: mode });
}

/** Starts the service again where Envoy expects it. */
async function restartService(mode: Mode): Promise<void> {
  await service.kill();
  service = await startService(service.grpc, mode);
}

function sample(file: string): SampleObject[] {
  return readSample(FOLDER, file).map((object) =>
    object.kind === 'Gateway' ? withPorts(object, { 80: port }) : object,
  );
}

function endpointsOfAuthz(portName: string): SampleObject {
  return endpointsAt('approov', 'approov-ext-authz-mesh', portName, service.grpc);
}

/** The example API's Service, which the VirtualService names. */
function upstreamService(): SampleObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'api', name: 'api' },
    spec: { ports: [{ name: 'http', port: 8080, targetPort: upstream.port }] },
  };
}
