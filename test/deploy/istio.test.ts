/** Checks without a tool that the files of deploy/istio agree with the source and with each other. */
import { describe, expect, test } from 'vitest';
import { RESULT_HEADERS } from '../../src/authz/result-header.ts';
import { render } from '../support/chart.ts';
import { HELM, unmet } from '../support/requirement.ts';
import {
  isKubernetesObject,
  readSample,
  type SampleObject,
  sampleFiles,
  sampleFolder,
} from '../support/sample-files.ts';
import { samplePolicyTable } from '../support/sample-service.ts';

const FOLDER = 'istio';
const RETRY_ON = 'connect-failure,refused-stream,reset,unavailable';
const AUTHZ_HOST = 'approov-ext-authz-mesh.approov.svc.cluster.local';

const objects = sampleFiles(FOLDER).flatMap((file) => readSample(FOLDER, file).filter(isKubernetesObject));
const [meshValues] = readSample(FOLDER, 'mesh-config.yaml');
const providers: SampleObject[] = meshValues?.['meshConfig'].extensionProviders;
const [authzService] = readSample(FOLDER, 'authz-service.yaml');
const policies = objects.filter(({ kind }) => kind === 'AuthorizationPolicy');
const filters = objects.filter(({ kind }) => kind === 'EnvoyFilter');
const withoutHelm = await unmet([HELM], 'that deploy/istio selects the pods that the chart makes');

function mutationsOfEnvoyYaml(): SampleObject[] {
  const [sample] = readSample('..', 'envoy.yaml');
  const listener = sample?.['static_resources'].listeners[0];
  const manager = listener.filter_chains[0].filters[0].typed_config;
  return manager.early_header_mutation_extensions[0].typed_config.mutations;
}

/** The EnvoyFilter patches with a value of this type. */
function patchesOf(type: string): SampleObject[] {
  return filters
    .flatMap(({ spec }) => spec.configPatches as SampleObject[])
    .filter(({ patch }) => patch.value.typed_config['@type'].endsWith(type));
}

test('the provider fails closed with 503 after 0.2 s, not after the default of ten minutes', () => {
  expect(providers).toEqual([
    {
      name: 'approov',
      envoyExtAuthzGrpc: {
        service: AUTHZ_HOST,
        port: 9001,
        timeout: '0.2s',
        statusOnError: '503',
        failOpen: false,
      },
    },
  ]);
});

test('the Service of the provider has a cluster IP, and a port that Istio recognizes as gRPC', () => {
  const { name, namespace } = authzService?.metadata ?? {};
  expect(`${name}.${namespace}.svc.cluster.local`).toBe(AUTHZ_HOST);
  expect(authzService?.['spec'].clusterIP).toBeUndefined();
  expect(authzService?.['spec'].ports).toEqual([
    { name: 'grpc', appProtocol: 'grpc', port: 9001, targetPort: 9001 },
  ]);
  const rules = objects.filter(({ kind }) => kind === 'DestinationRule');
  expect(rules.map(({ spec }) => spec.host)).toEqual([AUTHZ_HOST, AUTHZ_HOST]);
  for (const { spec } of rules) {
    expect(spec.trafficPolicy.retryBudget).toEqual({ percent: 20, minRetryConcurrency: 20 });
    expect(spec.trafficPolicy.outlierDetection.maxEjectionPercent).toBe(50);
  }
});

describe('the AuthorizationPolicies', () => {
  test('cover a gateway, a sidecar and a waypoint', () => {
    expect(policies.map(({ metadata }) => [metadata?.namespace, metadata?.name])).toEqual([
      ['istio-ingress', 'approov'],
      ['api', 'approov'],
      ['api', 'approov-waypoint'],
    ]);
  });

  test.each(policies)(
    '$metadata.namespace/$metadata.name names the provider and exempts only GET and HEAD of /healthz',
    ({ spec }) => {
      expect(spec.action).toBe('CUSTOM');
      expect(spec.provider.name).toBe(providers[0]?.['name']);
      expect(spec.rules).toEqual([
        {
          to: [
            { operation: { notPaths: ['/healthz'] } },
            { operation: { paths: ['/healthz'], notMethods: ['GET', 'HEAD'] } },
          ],
        },
      ]);
    },
  );

  test('in ambient mode has targetRefs, without which ztunnel would ignore it', () => {
    const waypoint = policies.find(({ metadata }) => metadata?.name === 'approov-waypoint');
    expect(waypoint?.['spec'].selector).toBeUndefined();
    expect(waypoint?.['spec'].targetRefs).toEqual([{ group: '', kind: 'Service', name: 'api' }]);
  });
});

describe('the EnvoyFilters', () => {
  test('patch the proxies that the policies select', () => {
    const selectors = policies.flatMap(({ spec }) => spec.selector?.matchLabels ?? []);
    expect(selectors).toEqual([{ istio: 'ingressgateway' }, { app: 'api' }]);
    const contexts: Record<string, string> = { 'istio-ingress': 'GATEWAY', api: 'SIDECAR_INBOUND' };
    for (const { metadata, spec } of filters) {
      const policy = policies.find((each) => each.metadata?.namespace === metadata?.namespace);
      // A waypoint is selected by its Gateway, and patched as the inbound side of a sidecar.
      if (metadata?.name === 'approov-waypoint') {
        const { group, kind, name } = spec.targetRefs[0];
        expect([group, kind]).toEqual(['gateway.networking.k8s.io', 'Gateway']);
        expect(objects).toContainEqual(
          expect.objectContaining({ kind, metadata: expect.objectContaining({ name }) }),
        );
      } else {
        expect(spec.workloadSelector.labels).toEqual(policy?.['spec'].selector.matchLabels);
      }
      for (const { match } of spec.configPatches) {
        expect(match.context).toBe(contexts[metadata?.namespace ?? '']);
      }
    }
  });

  test('remove all nine headers, and what envoy.yaml removes, before anything else, at the gateway, the sidecar and the waypoint', () => {
    const patches = patchesOf('HeaderMutation');
    expect(patches).toHaveLength(3);
    for (const { patch } of patches) {
      expect(patch.operation).toBe('INSERT_FIRST');
      const [{ remove_on_match: pattern }, ...others] = patch.value.typed_config.mutations.request_mutations;
      expect([{ remove_on_match: pattern }, ...others]).toEqual(mutationsOfEnvoyYaml());
      const name = new RegExp(`^(?:${pattern.key_matcher.safe_regex.regex})$`);
      expect(RESULT_HEADERS.filter((header) => !name.test(header))).toEqual([]);
    }
  });

  test('retry a check once, in the filter that Istio generates', () => {
    const patches = patchesOf('.ExtAuthz');
    expect(patches).toHaveLength(3);
    for (const { match, patch } of patches) {
      expect(patch.operation).toBe('MERGE');
      expect(match.listener.filterChain.filter.subFilter.name).toBe('envoy.filters.http.ext_authz');
      expect(patch.value.typed_config.grpc_service).toEqual({
        initial_metadata: [{ key: 'x-envoy-upstream-rq-per-try-timeout-ms', value: '100' }],
        retry_policy: {
          num_retries: 1,
          retry_on: RETRY_ON,
          retry_back_off: { base_interval: '0.005s', max_interval: '0.1s' },
        },
      });
    }
  });

  test('rate limit what mode limit allows, by our dynamic metadata and the client address', () => {
    const limits = patchesOf('LocalRateLimit').map(({ patch }) => patch.value.typed_config);
    expect(limits).toHaveLength(1);
    const { rate_limits: rateLimits, descriptors, ...settings } = limits[0];
    const path = [{ key: 'approov_action' }];
    expect(rateLimits[0].actions).toEqual([
      {
        metadata: {
          descriptor_key: 'approov_action',
          metadata_key: { key: 'envoy.filters.http.ext_authz', path },
          source: 'DYNAMIC',
        },
      },
      { remote_address: {} },
    ]);
    expect(descriptors[0].entries).toEqual([
      { key: 'approov_action', value: 'limit' },
      { key: 'remote_address' },
    ]);
    const all = { default_value: { numerator: 100, denominator: 'HUNDRED' } };
    expect(settings.filter_enabled).toEqual(all);
    expect(settings.filter_enforced).toEqual(all);
  });
});

test('the example Gateway and its VirtualService name each other', () => {
  const [gateway, virtualService] = readSample(FOLDER, 'gateway.yaml');
  expect(virtualService?.['spec'].gateways).toEqual([
    `${gateway?.metadata?.namespace}/${gateway?.metadata?.name}`,
  ]);
  const [host] = virtualService?.['spec'].hosts ?? [];
  expect(gateway?.['spec'].servers[0].hosts).toEqual([`${virtualService?.metadata?.namespace}/${host}`]);
});

test('the chart values only observe at first, and have routes for the host of the Gateway', () => {
  const { policies: configured, defaultPolicy, routes } = samplePolicyTable(FOLDER);
  expect(defaultPolicy).toMatchObject({ name: 'default', mode: 'observe' });
  expect(configured.get('limited')?.mode).toBe('observe');
  expect(routes.map(({ host, pathPrefix, policy }) => [host, pathPrefix, policy.name])).toEqual([
    ['api.example.com', '/search', 'limited'],
  ]);
});

test.skipIf(withoutHelm !== '')(
  `the Service selects the pods that the chart makes of the values${withoutHelm}`,
  async () => {
    const chart = await render(`${sampleFolder(FOLDER)}/approov-values.yaml`);
    const pod = chart.get('Deployment')?.['spec'].template;
    expect(pod.metadata.labels).toMatchObject(authzService?.['spec'].selector);
    expect(pod.spec.containers[0].ports).toContainEqual({ name: 'grpc', containerPort: 9001 });
  },
);
