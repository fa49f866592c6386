/** Checks without a tool that deploy/envoy-gateway and deploy/gateway-api agree with the source and with each other. */
import { describe, expect, test } from 'vitest';
import { headersReadUnder } from '../../src/authz/headers-read.ts';
import { SIGNATURE_HEADERS } from '../../src/authz/message-signature.ts';
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

const FOLDER = 'envoy-gateway';

const objects = sampleFiles(FOLDER).flatMap((file) => readSample(FOLDER, file).filter(isKubernetesObject));
const [httpRoute, referenceGrant] = readSample('gateway-api', 'external-auth.yaml');
const table = samplePolicyTable(FOLDER);
const headersToSend = [...new Set([...headersReadUnder(table), ...SIGNATURE_HEADERS])].sort();
const withoutHelm = await unmet([HELM], 'that deploy/envoy-gateway names the Service that the chart makes');

function named(kind: string, name: string): SampleObject {
  const found = objects.find((object) => object.kind === kind && object.metadata?.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found;
}

const securityPolicies = objects.filter(({ kind }) => kind === 'SecurityPolicy');
const checking = securityPolicies.filter((object) => object['spec'].extAuth !== undefined);

describe('the SecurityPolicies', () => {
  test('send every header that the service reads, and those of message signatures', () => {
    expect(named('SecurityPolicy', 'approov')['spec'].extAuth.headersToExtAuth.toSorted()).toEqual(
      headersToSend,
    );
  });

  test('fail closed with 503, before a client gives up', () => {
    expect(checking.map(({ metadata }) => metadata?.name)).toEqual(['approov', 'approov-limited']);
    for (const { spec } of checking) {
      const { failOpen, statusOnError, timeout } = spec.extAuth;
      expect({ failOpen, statusOnError, timeout }).toEqual({
        failOpen: false,
        statusOnError: 503,
        timeout: '200ms',
      });
    }
  });

  test('all reference one Service, as the ReferenceGrant allows', () => {
    const [reference] = checking.map(({ spec }) => spec.extAuth.grpc.backendRefs);
    expect(reference).toEqual([{ name: 'approov-ext-authz', namespace: 'approov', port: 9001 }]);
    for (const { spec } of checking) expect(spec.extAuth.grpc.backendRefs).toEqual(reference);
    const grant = named('ReferenceGrant', 'approov-ext-authz');
    expect(grant.metadata?.namespace).toBe('approov');
    expect(grant['spec'].from).toEqual([
      { group: 'gateway.envoyproxy.io', kind: 'SecurityPolicy', namespace: 'api' },
    ]);
    expect(grant['spec'].to).toEqual([{ group: '', kind: 'Service', name: 'approov-ext-authz' }]);
  });

  test('are merged with the one of the Gateway, or replace it to check nothing', () => {
    const ofRoutes = securityPolicies.filter(({ spec }) => spec.targetRefs[0].kind === 'HTTPRoute');
    expect(ofRoutes.map(({ metadata, spec }) => [metadata?.name, spec.mergeType])).toEqual([
      ['approov-limited', 'StrategicMerge'],
      ['approov-health', undefined],
    ]);
    expect(named('SecurityPolicy', 'approov-health')['spec'].extAuth).toBeUndefined();
  });

  test('name only policies that the chart values configure', () => {
    const chosen = checking.flatMap(({ spec }) => spec.extAuth.contextExtensions ?? []);
    expect(chosen).toEqual([{ name: 'approov_policy', type: 'Value', value: 'limited' }]);
    for (const { value } of chosen) expect([...table.policies.keys()]).toContain(value);
  });

  test.each(objects.filter(({ spec }) => spec?.targetRefs !== undefined))(
    '$kind $metadata.name targets an object of its namespace',
    (object) => {
      for (const { kind, name } of object['spec'].targetRefs) {
        expect(named(kind, name).metadata?.namespace).toBe(object.metadata?.namespace);
      }
    },
  );
});

test('all nine result headers of a client are removed before any other filter', () => {
  const { headers, path } = named('ClientTrafficPolicy', 'api')['spec'];
  const patterns = headers.earlyRequestHeaders.removeOnMatch.map(({ type, value }: SampleObject) => {
    expect(type).toBe('RegularExpression');
    return new RegExp(`^(?:${value})$`);
  });
  const isRemoved = (name: string) => patterns.some((pattern: RegExp) => pattern.test(name));
  expect(RESULT_HEADERS.filter((name) => !isRemoved(name))).toEqual([]);
  expect(isRemoved('approov-token')).toBe(false);
  expect(path).toEqual({ disableMergeSlashes: false, escapedSlashesAction: 'UnescapeAndRedirect' });
});

test('the rate limit counts what mode limit allows, for IPv4 and IPv6 addresses', () => {
  const { rules } = named('BackendTrafficPolicy', 'approov-limit')['spec'].rateLimit.local;
  const selectors = rules.map(({ clientSelectors }: SampleObject) => clientSelectors);
  const header = { name: 'x-approov-action', type: 'Exact', value: 'limit' };
  expect(RESULT_HEADERS).toContain(header.name);
  expect(selectors).toEqual([
    [{ headers: [header], sourceCIDR: { type: 'Distinct', value: '0.0.0.0/0' } }],
    [{ headers: [header], sourceCIDR: { type: 'Distinct', value: '::/0' } }],
  ]);
});

test('the chart values only observe at first, and bind tokens to headers that Envoy sends', () => {
  expect([...table.policies.values()].map(({ name, mode }) => [name, mode])).toEqual([
    ['default', 'observe'],
    ['limited', 'observe'],
  ]);
  expect(table.defaultPolicy.binding?.headers).toEqual(['authorization']);
});

test('a route with a weaker policy matches whole plain paths, never a prefix', () => {
  const [{ matches }] = named('HTTPRoute', 'api-search')['spec'].rules;
  expect(matches).toEqual([
    {
      path: { type: 'RegularExpression', value: '/search(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?' },
    },
  ]);
});

describe('the ExternalAuth filter', () => {
  const filters = httpRoute?.['spec'].rules[0].filters;

  test('sends every header that the service reads, and those of message signatures', () => {
    expect(filters[0].externalAuth.grpc.allowedHeaders.toSorted()).toEqual(headersToSend);
  });

  test('is the only filter of its route, as Envoy would remove headers after the check', () => {
    expect(filters.map(({ type }: SampleObject) => type)).toEqual(['ExternalAuth']);
  });

  test('references the same Service, as a ReferenceGrant allows', () => {
    expect(filters[0].externalAuth.backendRef).toEqual({
      name: 'approov-ext-authz',
      namespace: 'approov',
      port: 9001,
    });
    expect(referenceGrant?.['spec'].from).toEqual([
      { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'api' },
    ]);
  });
});

test.skipIf(withoutHelm !== '')(
  `the Service is the one that the chart makes of the values${withoutHelm}`,
  async () => {
    const chart = await render(`${sampleFolder(FOLDER)}/approov-values.yaml`);
    const service = chart.get('Service');
    expect(service?.metadata?.name).toBe('approov-ext-authz');
    expect(service?.['spec'].ports).toContainEqual(
      expect.objectContaining({ port: 9001, appProtocol: 'grpc' }),
    );
  },
);
