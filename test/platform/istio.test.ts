/** Tests deploy/istio at a gateway: a real istiod configures a real Envoy, which asks the real service. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RESULT_HEADERS } from '../../src/authz/result-header.ts';
import {
  type RestartableService,
  sendUntil,
  startRestartableService,
  testGateway,
} from '../support/gateway-tests.ts';
import { poll, send, startUpstream, type Upstream } from '../support/gateway-traffic.ts';
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
import { unmet } from '../support/requirement.ts';
import { readSample, type SampleObject, withPorts } from '../support/sample-files.ts';
import { freshToken } from '../support/token.ts';

const FOLDER = 'istio';
/** The samples for a gateway; the others need pods with sidecars, waypoints or certificates. */
const SERVED = [
  'authz-service.yaml',
  'destination-rule.yaml',
  'gateway.yaml',
  'gateway-authorization.yaml',
  'remove-forged-headers.yaml',
  'rate-limit.yaml',
  'retry.yaml',
];
const GATEWAY = { namespace: 'istio-ingress', labels: { istio: 'ingressgateway' } };
const AUTHZ_HOST = 'approov-ext-authz-mesh.approov.svc.cluster.local';

const skipped = await unmet(
  [...KUBERNETES_API, ISTIOD, MACHINE_ADDRESS],
  'that deploy/istio refuses a request without a token',
);

let api: KubernetesApi;
let istio: RunningIstio;
let upstream: Upstream;
let service: RestartableService;
let port: number;

describe.skipIf(skipped !== '')(`the Istio samples, served by istiod${skipped}`, () => {
  beforeAll(async () => {
    upstream = await startUpstream(machineAddress());
    service = await startRestartableService(FOLDER, `${machineAddress()}:0`);
    port = await freePort();
    api = await startKubernetesApi(['istio'], ['istio-system', 'istio-ingress', 'api', 'approov']);
    await api.apply(SERVED.flatMap(sample));
    await api.apply([
      upstreamService(),
      endpointsAt('api', 'api', 'http', `${machineAddress()}:${upstream.port}`),
      endpointsAt('approov', 'approov-ext-authz-mesh', 'grpc', service.grpc),
    ]);
    const [values] = readSample(FOLDER, 'mesh-config.yaml');
    istio = await startIstio(api, values?.['meshConfig'], GATEWAY);
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

  testGateway(() => ({ port, upstream, service }), ['GET', 'HEAD']);

  test('a check has 0.2 s for two tries, and an authority that HTTP/2 servers accept', async () => {
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

  test("no alias of a client's x-approov-… header reaches the upstream", async () => {
    const names = RESULT_HEADERS.flatMap((name) => [name.replaceAll('-', '_'), name.replaceAll('-', '.')]);
    const forged = Object.fromEntries(names.map((name) => [name, 'forged']));
    for (const message of [{ path: '/healthz' }, { headers: { 'approov-token': freshToken() } }]) {
      const { arrived } = await send(port, { ...message, headers: { ...message.headers, ...forged } });
      expect(arrived).toBeDefined();
      expect(Object.entries(arrived?.headers ?? {}).filter(([, value]) => value === 'forged')).toEqual([]);
    }
  });

  test('a service port not named grpc makes Envoy speak HTTP/1.1, so every check fails', async () => {
    const misnamed = structuredClone(sample('authz-service.yaml')[0]) as SampleObject;
    misnamed['spec'].ports = [{ name: 'web', port: 9001, targetPort: 9001 }];
    await api.apply([misnamed, endpointsOfAuthz('web')]);
    expect((await sendUntil(port, 503)).status).toBe(503);
    await api.apply([...sample('authz-service.yaml'), endpointsOfAuthz('grpc')]);
    expect((await sendUntil(port, 200)).status).toBe(200);
  });

  test('a provider missing from the mesh configuration makes every matching path answer 403', async () => {
    const [policy] = sample('gateway-authorization.yaml');
    await api.apply([{ ...policy, spec: { ...policy?.['spec'], provider: { name: 'nope' } } }]);
    expect((await sendUntil(port, 403)).status).toBe(403);
    expect((await send(port, { path: '/healthz' })).status).toBe(200);
    expect(istio.istiodOutput()).toContain('available providers are [approov] but found "nope"');
    await api.apply(sample('gateway-authorization.yaml'));
    expect((await sendUntil(port, 200)).status).toBe(200);
  });

  test('deleting the AuthorizationPolicy allows every request again', async () => {
    await api.kubectl('delete', 'authorizationpolicy', 'approov', '--namespace=istio-ingress');
    const { status } = await poll(
      () => send(port),
      (answer) => answer.status === 200,
    );
    expect(status).toBe(200);
    await api.apply(sample('gateway-authorization.yaml'));
  });

  test('the mesh configuration for signed requests sends whole bodies along, byte for byte', async () => {
    await istio.stop();
    const [values] = readSample('message-signatures', 'istio-mesh-config.yaml');
    istio = await startIstio(api, values?.['meshConfig'], GATEWAY);
    expect((await sendUntil(port, 200)).status).toBe(200);
    const [filter] = await istio.configured('envoy.filters.http.ext_authz');
    expect(filter?.['typed_config'].with_request_body).toEqual({
      max_request_bytes: 131_072,
      pack_as_bytes: true,
    });
  });
});

function sample(file: string): SampleObject[] {
  return readSample(FOLDER, file).map((object) =>
    object.kind === 'Gateway' ? withPorts(object, { 80: port }) : object,
  );
}

function endpointsOfAuthz(portName: string): SampleObject {
  return endpointsAt('approov', 'approov-ext-authz-mesh', portName, service.grpc);
}

/** The Service of the example API, which the VirtualService names. */
function upstreamService(): SampleObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'api', name: 'api' },
    spec: { ports: [{ name: 'http', port: 8080, targetPort: upstream.port }] },
  };
}
