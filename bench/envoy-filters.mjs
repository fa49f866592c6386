/** Lists the ways in which Envoy decides about a request. */
import { basename } from 'node:path';
import { sampleFilters } from './sample-filters.mjs';
import { SECRETS } from './tokens.mjs';

/**
 * @typedef {object} EnvoyFilter
 * @property {string} id
 * @property {string} label
 * @property {'nobody' | 'each server' | 'the service'} asks
 * @property {boolean} decides whether it refuses anything
 * @property {(cluster: string) => unknown[]} httpFilters before the router
 */

const TYPE = 'type.googleapis.com/envoy.extensions';

/** As many as the service caches. */
const TOKEN_CACHE_ENTRIES = 10_000;

/** Longer than in production: a busy machine must not turn slow answers into refusals. */
const CHECK_TIMEOUT = '5s';

/** The samples whose filters are measured. */
const SAMPLES = ['envoy.yaml', 'deploy/envoy-hybrid.yaml'];

/** @type {readonly EnvoyFilter[]} */
export const ENVOY_FILTERS = [
  { id: 'none', label: 'no auth', asks: 'nobody', decides: false, httpFilters: () => [] },
  { id: 'jwt', label: 'jwt_authn', asks: 'nobody', decides: true, httpFilters: () => [jwtAuthn({})] },
  {
    ...{ id: 'jwt-cache', label: 'jwt_authn with token cache', asks: 'nobody', decides: true },
    httpFilters: () => [jwtAuthn({ jwt_cache_config: { jwt_cache_size: TOKEN_CACHE_ENTRIES } })],
  },
  {
    ...{ id: 'ext', label: '', asks: 'each server', decides: true },
    httpFilters: (cluster) => [extAuthz(cluster, {})],
  },
  {
    ...{ id: 'ext-few', label: 'few raw headers', asks: 'the service', decides: true },
    httpFilters: (cluster) => [extAuthz(cluster, { encode_raw_headers: true, allowed_headers: FEW_HEADERS })],
  },
  ...SAMPLES.map(filtersOf),
];

/** @param {string} sample @returns {EnvoyFilter} */
function filtersOf(sample) {
  return {
    ...{ id: sample, label: basename(sample), asks: 'the service', decides: true },
    httpFilters: (cluster) => sampleFilters(sample, { cluster, jwks: jwks(), timeout: CHECK_TIMEOUT }),
  };
}

/** Those that envoy.yaml lists. */
const FEW_HEADERS = {
  patterns: [
    ...['approov-token', 'approov-status', 'authorization', 'origin', 'access-control-request-method'],
    ...['x-request-id', 'user-agent', 'x-envoy-external-address', 'approov-traceid'],
  ].map((exact) => ({ exact, ignore_case: true })),
};

function jwks() {
  return JSON.stringify({ keys: [{ kty: 'oct', alg: 'HS256', k: SECRETS.token.toString('base64url') }] });
}

/** @param {Record<string, unknown>} options */
function jwtAuthn(options) {
  const provider = {
    from_headers: [{ name: 'approov-token' }],
    forward: true,
    require_expiration: true,
    local_jwks: { inline_string: jwks() },
    ...options,
  };
  return {
    name: 'envoy.filters.http.jwt_authn',
    typed_config: {
      '@type': `${TYPE}.filters.http.jwt_authn.v3.JwtAuthentication`,
      providers: { approov: provider },
      rules: [{ match: { prefix: '/' }, requires: { provider_name: 'approov' } }],
    },
  };
}

/**
 * @param {string} cluster
 * @param {Record<string, unknown>} options
 */
function extAuthz(cluster, options) {
  return {
    name: 'envoy.filters.http.ext_authz',
    typed_config: {
      '@type': `${TYPE}.filters.http.ext_authz.v3.ExtAuthz`,
      transport_api_version: 'V3',
      grpc_service: {
        envoy_grpc: { cluster_name: cluster, authority: 'approov-ext-authz' },
        timeout: CHECK_TIMEOUT,
      },
      ...options,
    },
  };
}
