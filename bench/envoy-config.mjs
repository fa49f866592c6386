/** Writes the configuration of an Envoy that has a listener for each contender. */

const TYPE = 'type.googleapis.com/envoy.extensions';

/**
 * @typedef {object} Route
 * @property {string} listener
 * @property {unknown[]} httpFilters
 */

/**
 * A listener for each contender, and a cluster for each server. Envoy itself answers what it allows: an upstream would
 * add the same to every figure.
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
