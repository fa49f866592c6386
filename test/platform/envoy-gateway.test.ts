/** Tests deploy/envoy-gateway: a real Envoy Gateway configures a real Envoy, which asks the real service. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RESULT_HEADERS } from '../../src/authz/result-header.ts';
import {
  backendAt,
  ENVOY_GATEWAY,
  type RunningEnvoyGateway,
  startEnvoyGateway,
  withBackends,
} from '../support/envoy-gateway.ts';
import {
  type RestartableService,
  sendUntil,
  startRestartableService,
  testGateway,
} from '../support/gateway-tests.ts';
import { poll, send, startUpstream, type Upstream } from '../support/gateway-traffic.ts';
import { freePort } from '../support/platform-tool.ts';
import { unmet } from '../support/requirement.ts';
import {
  isKubernetesObject,
  readSample,
  type SampleObject,
  sampleFiles,
  withPorts,
} from '../support/sample-files.ts';

const FOLDER = 'envoy-gateway';
const skipped = await unmet([ENVOY_GATEWAY], 'that deploy/envoy-gateway refuses a request without a token');

let upstream: Upstream;
let service: RestartableService;
let gateway: RunningEnvoyGateway;
let port: number;

describe.skipIf(skipped !== '')(`the Envoy Gateway samples, served by Envoy Gateway${skipped}`, () => {
  beforeAll(async () => {
    upstream = await startUpstream();
    service = await startRestartableService(FOLDER, '127.0.0.1:0');
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

  testGateway(() => ({ port, upstream, service }), ['GET']);

  test('no alias of an x-approov-… header reaches the upstream, nor a header that overrides method, path or host', async () => {
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
    '%s does not get the weaker policy of /search',
    async (path) => {
      expect((await send(port, { path })).status).toBe(401);
    },
  );

  test('a SecurityPolicy whose backend does not exist answers 500 to everything it covers', async () => {
    gateway.write('backends', backends().slice(0, 1));
    expect((await sendUntil(port, 500)).status).toBe(500);
    gateway.write('backends', backends());
    expect((await sendUntil(port, 200)).status).toBe(200);
  });

  test('deleting the SecurityPolicies allows every request again', async () => {
    gateway.write('security-policy.yaml', []);
    const { status } = await poll(
      () => send(port),
      (answer) => answer.status === 200,
    );
    expect(status).toBe(200);
    gateway.write('security-policy.yaml', sample('security-policy.yaml'));
  });
});

function sample(file: string): SampleObject[] {
  return readSample(FOLDER, file)
    .filter(isKubernetesObject)
    .map((object) => withBackends(withPorts(object, { 80: port })));
}

/** Stand-ins for the Services that the samples name. */
function backends(): SampleObject[] {
  return [
    backendAt('api', 'api', `127.0.0.1:${upstream.port}`),
    backendAt('api', 'approov-ext-authz', service.grpc, ['gateway.envoyproxy.io/h2c']),
  ];
}
