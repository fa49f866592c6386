/** Checks that deploy/envoy-hybrid.yaml differs from envoy.yaml only where Envoy verifies tokens itself. */
import { describe, expect, test } from 'vitest';
import { validateConfig } from '../../scripts/envoy.mjs';
import { RESULT_HEADERS } from '../../src/authz/result-header.ts';
import { samplePolicies, writeHybridSample } from '../support/hybrid.ts';
import { readSample, type SampleObject } from '../support/sample-files.ts';

const [plain] = readSample('..', 'envoy.yaml') as [SampleObject];
const [hybrid] = readSample('.', 'envoy-hybrid.yaml') as [SampleObject];

function managerOf(envoy: SampleObject): SampleObject {
  return envoy['static_resources'].listeners[0].filter_chains[0].filters[0].typed_config;
}

function filterOf(envoy: SampleObject, name: string): SampleObject {
  const filters: SampleObject[] = managerOf(envoy)['http_filters'];
  return filters.find((filter) => filter['name'] === `envoy.filters.http.${name}`)?.['typed_config'];
}

const OWN_FILTERS = ['jwt_authn', 'rbac', 'header_mutation'].map((name) => `envoy.filters.http.${name}`);
const { providers, rules } = filterOf(hybrid, 'jwt_authn')['extension_config'].typed_config;

describe('deploy/envoy-hybrid.yaml', () => {
  test('is accepted by Envoy once its JWK Set is there', async () => {
    const { file, remove } = writeHybridSample();
    expect(await validateConfig(file)).toBeUndefined();
    remove();
    expect(await validateConfig(file)).toContain('jwk-set.json');
  });

  test('is envoy.yaml with three filters before ext_authz, a condition, a log field, and two routes without them', () => {
    const expected = structuredClone(plain);
    const manager = managerOf(expected);
    const own = managerOf(hybrid)['http_filters'].filter(({ name }: SampleObject) =>
      OWN_FILTERS.includes(name as string),
    );
    expect(own.map(({ name }: SampleObject) => name)).toEqual(OWN_FILTERS);
    manager['http_filters'].splice(1, 0, ...own);
    Object.assign(filterOf(expected, 'ext_authz'), {
      filter_enabled_metadata: filterOf(hybrid, 'ext_authz')['filter_enabled_metadata'],
    });
    manager['access_log'][0].typed_config.log_format.json_format.approov_in_proxy =
      '%DYNAMIC_METADATA(envoy.filters.http.rbac:approov_shadow_effective_policy_id)%';
    for (const route of manager['route_config'].virtual_hosts[0].routes.slice(0, 2)) {
      route.typed_per_filter_config['envoy.filters.http.jwt_authn'] = {
        '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig',
        disabled: true,
      };
    }
    expect(hybrid).toEqual(expected);
  });

  test('has one provider, with a cache and the strictest lifetime that jwt_authn knows', () => {
    expect(providers).toEqual({
      approov: {
        local_jwks: { filename: '/etc/envoy/approov-jwks.json' },
        from_headers: [{ name: 'approov-token' }],
        forward: true,
        payload_in_metadata: 'approov_payload',
        claim_to_headers: [{ header_name: 'x-approov-did', claim_name: 'did' }],
        require_expiration: true,
        clock_skew_seconds: 1,
        jwt_cache_config: { jwt_cache_size: 10_000 },
      },
    });
    // Without the name of the provider, nothing would be cached.
    expect(rules).toEqual([
      {
        match: { prefix: '/' },
        requires: {
          requires_any: { requirements: [{ provider_name: 'approov' }, { allow_missing_or_failed: {} }] },
        },
      },
    ]);
  });

  test('applies to what deploy/config/config.yaml asks of a token', () => {
    for (const policy of samplePolicies()) {
      expect(policy).toMatchObject({
        ...{ tokenHeader: 'approov-token', tokenPrefix: '', issuer: null, audience: null },
        ...{ clockToleranceSeconds: 0, forwardToken: true, messageSignature: null },
      });
      expect(policy.binding?.when).toBe('if-present');
    }
    const [policy] = samplePolicies();
    const claimHeaders = providers.approov.claim_to_headers;
    expect(claimHeaders.map(({ claim_name }: { claim_name: string }) => claim_name)).toEqual(
      policy?.forwardClaims,
    );
  });

  test('sets only headers that the service sets or removes when it is asked', () => {
    const { request_mutations: mutations } = filterOf(hybrid, 'header_mutation')['extension_config']
      .typed_config.mutations;
    const names = [
      ...mutations.map(({ append }: SampleObject) => append.header.key),
      ...providers.approov.claim_to_headers.map(({ header_name }: SampleObject) => header_name),
    ];
    expect(names.filter((name) => !RESULT_HEADERS.includes(name))).toEqual([]);
    expect(mutations.map(({ append }: SampleObject) => append.append_action)).toEqual([
      'OVERWRITE_IF_EXISTS_OR_ADD',
      'OVERWRITE_IF_EXISTS_OR_ADD',
    ]);
  });
});
