/** Checks that envoy.yaml and deploy/config/config.yaml agree with the code and with each other. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { validateConfig } from '../../scripts/envoy.mjs';
import { decide } from '../../src/authz/decide.ts';
import { headersReadUnder } from '../../src/authz/headers-read.ts';
import { choosePolicies } from '../../src/authz/policy.ts';
import { RESULT_HEADERS } from '../../src/authz/result-header.ts';
import type { Config } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { checkRequest, checkVerifier, NOW } from '../support/check.ts';
import { ENVOY_CONFIG, EXT_AUTHZ, readEnvoySample, SERVICE_CONFIG } from '../support/envoy.ts';
import { mintToken } from '../support/token.ts';

const { document, connectionManager, httpFilter } = readEnvoySample();
const envoyConfig = document.toJS();

function readServiceConfig(): Config {
  const env = { APPROOV_BASE64_SECRET_FILE: '/run/secrets/current' };
  const { config, problems } = parseConfig(readFileSync(SERVICE_CONFIG, 'utf8'), env);
  expect(problems).toEqual([]);
  if (config === undefined) throw new Error('no configuration and no problem');
  return config;
}

function allowedHeaders(): string[] {
  const patterns = httpFilter(EXT_AUTHZ).toJS(document)['allowed_headers'].patterns;
  return patterns.map(({ exact }: { exact: string }) => exact).sort();
}

test('Envoy accepts envoy.yaml unchanged', async () => {
  expect(await validateConfig(ENVOY_CONFIG)).toBeUndefined();
});

test('deploy/config/config.yaml has the policies that envoy.yaml names', () => {
  const { policyTable } = readServiceConfig();
  const named = [
    ...JSON.stringify(envoyConfig).matchAll(/"context_extensions":\{"approov_policy":"(.*?)"/g),
  ].map(([, name]) => name);
  expect(named).toEqual(['limited']);
  expect(policyTable.policies.get('limited')?.mode).toBe('limit');
  expect(policyTable.defaultPolicy.mode).toBe('enforce');
});

describe('allowed_headers in envoy.yaml', () => {
  test('lists exactly the headers that the service reads with deploy/config/config.yaml', () => {
    expect(allowedHeaders()).toEqual([...headersReadUnder(readServiceConfig().policyTable)].sort());
  });

  test('lists exactly the headers that the decision and the log read', () => {
    const read = new Set<string>();
    const { policyTable } = readServiceConfig();
    const log = createLog({
      settings: { level: 'info', checks: 'all' },
      destination: { write: () => undefined },
      nowMs: () => 0,
      onSuppressed: () => undefined,
    });
    const boundToken = mintToken({ exp: NOW + 60, pay: 'x' });
    const requests = [
      checkRequest({ headers: { 'approov-token': boundToken, authorization: 'Bearer a' } }),
      checkRequest({ method: 'OPTIONS', headers: { origin: 'https://app.example.com' } }),
      checkRequest({ policyName: 'limited' }),
    ];
    for (const request of requests) {
      const headers = {
        get(name: string) {
          read.add(name);
          return request.headers.get(name);
        },
      };
      const recorded = { ...request, headers };
      log.checkDone({
        request: recorded,
        decision: decide(recorded, choosePolicies(recorded, policyTable), checkVerifier(), NOW),
        traceparent: undefined,
        nowSeconds: NOW,
        durationSeconds: 0,
      });
    }
    log.close();
    expect([...read].sort()).toEqual(allowedHeaders());
  });

  test('ignores case, as header names do', () => {
    const { patterns } = httpFilter(EXT_AUTHZ).toJS(document)['allowed_headers'];
    for (const pattern of patterns) expect(pattern).toEqual({ exact: pattern.exact, ignore_case: true });
  });
});

test('envoy.yaml removes every result header before anything else, so that none can be forged', () => {
  const [extension, ...others] = connectionManager.toJS(document)['early_header_mutation_extensions'];
  expect(others).toEqual([]);
  const [{ remove_on_match: pattern }] = extension.typed_config.mutations;
  const name = new RegExp(`^(?:${pattern.key_matcher.safe_regex.regex})$`);
  expect(RESULT_HEADERS.filter((header) => !name.test(header))).toEqual([]);
  expect(name.test('approov-token')).toBe(false);
});

describe('envoy.yaml', () => {
  const at = (root: unknown, path: string): unknown =>
    path
      .split('/')
      .reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], root);
  const settings = connectionManager.toJS(document);
  const authz = httpFilter(EXT_AUTHZ).toJS(document);
  const cluster = envoyConfig.static_resources.clusters.find(
    ({ name }: { name: string }) => name === 'approov_authz',
  );

  test('has its filters in an order in which each of them works', () => {
    expect(settings.http_filters.map(({ name }: { name: string }) => name)).toEqual([
      'envoy.filters.http.cors',
      EXT_AUTHZ,
      'envoy.filters.http.lua',
      'envoy.filters.http.local_ratelimit',
      'envoy.filters.http.router',
    ]);
  });

  test.each([
    ['use_remote_address', true],
    ['common_http_protocol_options/headers_with_underscores_action', 'DROP_HEADER'],
    ['common_http_protocol_options/max_stream_duration', '3600s'],
    ['common_http_protocol_options/max_headers_count', 128],
    ['request_headers_timeout', '10s'],
    ['request_timeout', '300s'],
    ['http2_protocol_options/max_concurrent_streams', 100],
    ['http2_protocol_options/initial_stream_window_size', 64 * 1024],
    ['http2_protocol_options/initial_connection_window_size', 1024 * 1024],
    ['normalize_path', true],
    ['merge_slashes', true],
    ['path_with_escaped_slashes_action', 'REJECT_REQUEST'],
  ])('sets %s of the connection manager to %j', (path, value) => {
    expect(at(settings, path)).toEqual(value);
  });

  test.each([
    ['transport_api_version', 'V3'],
    ['grpc_service/envoy_grpc/cluster_name', 'approov_authz'],
    ['grpc_service/envoy_grpc/authority', 'approov-ext-authz'],
    ['grpc_service/envoy_grpc/skip_envoy_headers', true],
    ['grpc_service/timeout', '0.2s'],
    ['grpc_service/retry_policy/retry_on', 'connect-failure,refused-stream,reset,unavailable'],
    ['grpc_service/retry_policy/num_retries', 2],
    ['grpc_service/retry_policy/retry_back_off', { base_interval: '0.005s', max_interval: '0.1s' }],
    ['grpc_service/initial_metadata/0', { key: 'x-envoy-upstream-rq-per-try-timeout-ms', value: '100' }],
    ['grpc_service/retry_policy/retry_host_predicate/0/name', 'envoy.retry_host_predicates.previous_hosts'],
    ['failure_mode_allow', false],
    ['status_on_error', { code: 'ServiceUnavailable' }],
    ['encode_raw_headers', true],
    ['validate_mutations', true],
  ])('sets %s of ext_authz to %j', (path, value) => {
    expect(at(authz, path)).toEqual(value);
  });

  test.each([
    ['type', 'STRICT_DNS'],
    ['connect_timeout', '0.1s'],
    [
      'circuit_breakers/thresholds/0/retry_budget',
      { budget_percent: { value: 20 }, min_retry_concurrency: 20 },
    ],
    ['health_checks/0/grpc_health_check', { service_name: 'envoy.service.auth.v3.Authorization' }],
    ['health_checks/0/interval', '1s'],
    ['outlier_detection/max_ejection_percent', 50],
    [
      'typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions/explicit_http_config',
      { http2_protocol_options: { connection_keepalive: { interval: '10s', timeout: '2s' } } },
    ],
  ])('sets %s of the cluster of the service to %j', (path, value) => {
    expect(at(cluster, path)).toEqual(value);
  });

  test('has the limits of an edge proxy on memory, connections and buffers', () => {
    const { resource_monitors: monitors, actions } = envoyConfig.overload_manager;
    expect(
      monitors.map(
        ({ typed_config: { '@type': _, ...limits } }: { typed_config: object & { '@type': string } }) =>
          limits,
      ),
    ).toEqual([{ max_heap_size_bytes: 512 * 2 ** 20 }, { max_active_downstream_connections: 10_000 }]);
    expect(actions.map(({ name }: { name: string }) => name)).toEqual([
      'envoy.overload_actions.shrink_heap',
      'envoy.overload_actions.stop_accepting_requests',
    ]);
    const [listener] = envoyConfig.static_resources.listeners;
    const upstream = envoyConfig.static_resources.clusters.find(
      ({ name }: { name: string }) => name === 'upstream',
    );
    for (const { per_connection_buffer_limit_bytes: limit } of [listener, upstream])
      expect(limit).toBe(32 * 1024);
    expect(envoyConfig.admin.address.socket_address.address).toBe('127.0.0.1');
  });

  test('has no open route and no weaker policy behind a prefix', () => {
    const routes = settings.route_config.virtual_hosts[0].routes.filter(
      (route: { typed_per_filter_config?: object }) => EXT_AUTHZ in (route.typed_per_filter_config ?? {}),
    );
    const plain = '(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?';
    expect(routes.map(({ match }: { match: object }) => match)).toEqual([
      { safe_regex: { regex: `/public${plain}` } },
      { safe_regex: { regex: `/search${plain}` } },
    ]);
  });

  test('rate limits by the metadata of requests that were allowed unverified', () => {
    const limit = httpFilter('envoy.filters.http.local_ratelimit').toJS(document);
    const [{ metadata }] = limit.rate_limits[0].actions;
    expect(metadata.metadata_key).toEqual({ key: EXT_AUTHZ, path: [{ key: 'approov_action' }] });
    expect(limit.descriptors[0].entries).toContainEqual({ key: 'approov_action', value: 'limit' });
  });

  test('shows verdict and reason in the access log', () => {
    const format = settings.access_log[0].typed_config.log_format.json_format;
    for (const key of ['approov_verdict', 'approov_action', 'approov_reason', 'approov_policy']) {
      expect(format[key]).toBe(`%DYNAMIC_METADATA(${EXT_AUTHZ}:${key})%`);
    }
  });
});
