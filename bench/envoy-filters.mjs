/** Lists the ways in which Envoy decides about a request, and writes the Envoy configuration that has them all. */
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
];

/** Those that envoy.yaml lists. */
const FEW_HEADERS = {
  patterns: [
    ...['approov-token', 'approov-status', 'authorization', 'origin', 'access-control-request-method'],
    ...['x-request-id', 'user-agent', 'x-envoy-external-address', 'approov-traceid'],
  ].map((exact) => ({ exact, ignore_case: true })),
};

/** @param {Record<string, unknown>} options */
function jwtAuthn(options) {
  const jwks = { keys: [{ kty: 'oct', alg: 'HS256', k: SECRETS.token.toString('base64url') }] };
  const provider = {
    from_headers: [{ name: 'approov-token' }],
    forward: true,
    require_expiration: true,
    local_jwks: { inline_string: JSON.stringify(jwks) },
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
      // Longer than in production: a busy machine must not turn slow answers into refusals.
      grpc_service: { envoy_grpc: { cluster_name: cluster, authority: 'approov-ext-authz' }, timeout: '5s' },
      ...options,
    },
  };
}

/**
 * @typedef {object} Route
 * @property {string} listener
 * @property {unknown[]} httpFilters
 */

/**
 * A listener for each contender, and a cluster for each server. Envoy itself answers what it allows: an upstream would add
 * the same to every figure.
 * @param {readonly Route[]} routes
 * @param {Readonly<Record<string, number>>} ports of the servers, by cluster
 */
export function envoyConfig(routes, ports) {
  return {
    admin: { address: loopback(0) },
    static_resources: {
      listeners: routes.map(({ listener, httpFilters }) => ({
        name: listener,
        address: loopback(0),
        filter_chains: [{ filters: [connectionManager(httpFilters)] }],
      })),
      clusters: Object.entries(ports).map(([name, port]) => cluster(name, port)),
    },
  };
}

/** @param {unknown[]} httpFilters */
function connectionManager(httpFilters) {
  const router = {
    name: 'envoy.filters.http.router',
    typed_config: { '@type': `${TYPE}.filters.http.router.v3.Router` },
  };
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'bench',
      http_filters: [...httpFilters, router],
      route_config: {
        virtual_hosts: [
          {
            name: 'api',
            domains: ['*'],
            routes: [
              {
                match: { prefix: '/' },
                direct_response: { status: 200, body: { inline_string: '{"ok":true}' } },
              },
            ],
          },
        ],
      },
    },
  };
}

/** @param {string} name @param {number} port */
function cluster(name, port) {
  const limits = { max_requests: 4096, max_pending_requests: 4096 };
  return {
    name,
    type: 'STATIC',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: loopback(port) } }] }],
    },
    circuit_breakers: { thresholds: [limits] },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${TYPE}.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
}

/** @param {number} port */
function loopback(port) {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}
