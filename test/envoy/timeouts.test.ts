/** Tests that no limit of unary-grpc is met by an Envoy whose checks all time out, however many. */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { type ListeningServer, listenUnary } from '../../packages/unary-grpc/test/support/listening.ts';
import { type RunningEnvoy, startEnvoy } from '../../scripts/envoy.mjs';
import { CHECK_PATH } from '../support/raw-http2.ts';

const REQUESTS = 3000;
const CONCURRENT = 50;
/** A CheckResponse with an OK status and an empty OkHttpResponse. */
const ALLOW = Buffer.from('0a001a00', 'hex');

interface Variant {
  /** Of a check, as Envoy's configuration has it. */
  readonly timeout: string;
  /** Of the handler; 0 answers at once. */
  readonly delayMs: number;
  readonly metadata?: string;
  readonly keepalive?: string;
}

function envoyConfig(authz: string, { timeout, metadata = '', keepalive }: Variant): object {
  const [host, port] = authz.split(':');
  const ping = { connection_keepalive: { interval: keepalive, timeout: '20s' } };
  return {
    admin: { address: address('127.0.0.1', 0) },
    static_resources: {
      listeners: [
        { name: 'api', address: address('127.0.0.1', 0), filter_chains: [filterChain(timeout, metadata)] },
      ],
      clusters: [
        {
          name: 'authz',
          connect_timeout: '5s',
          load_assignment: {
            cluster_name: 'authz',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(String(host), Number(port)) } }] }],
          },
          circuit_breakers: { thresholds: [{ max_requests: 10_000, max_pending_requests: 10_000 }] },
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http2_protocol_options: keepalive === undefined ? {} : ping },
            },
          },
        },
      ],
    },
  };
}

function address(host: string, port: number): object {
  return { socket_address: { address: host, port_value: port } };
}

function filterChain(timeout: string, metadata: string): object {
  const type = 'type.googleapis.com/envoy.extensions.filters';
  const initialMetadata = metadata === '' ? [] : [{ key: 'x-large', value: metadata }];
  const extAuthz = {
    '@type': `${type}.http.ext_authz.v3.ExtAuthz`,
    transport_api_version: 'V3',
    status_on_error: { code: 'ServiceUnavailable' },
    grpc_service: { envoy_grpc: { cluster_name: 'authz' }, timeout, initial_metadata: initialMetadata },
  };
  const routes = [{ match: { prefix: '/' }, direct_response: { status: 200 } }];
  const manager = {
    '@type': `${type}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'api',
    route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
    http_filters: [
      { name: 'envoy.filters.http.ext_authz', typed_config: extAuthz },
      { name: 'envoy.filters.http.router', typed_config: { '@type': `${type}.http.router.v3.Router` } },
    ],
  };
  return { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] };
}

/** The number of responses of each status, to a number of requests. */
async function responses(envoy: RunningEnvoy, count: number): Promise<Record<number, number>> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONCURRENT });
  const statuses: Record<number, number> = {};
  let sent = 0;
  const client = async (): Promise<void> => {
    while (sent++ < count) {
      const call = request({ host: '127.0.0.1', port: envoy.port('api'), agent }).end();
      const [response] = (await once(call, 'response')) as [IncomingMessage];
      const status = response.statusCode ?? 0;
      statuses[status] = (statuses[status] ?? 0) + 1;
      await once(response.resume(), 'end');
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT }, client));
  agent.destroy();
  return statuses;
}

describe('unary-grpc', () => {
  const met: string[] = [];
  let delayMs = 0;
  const answer = (): Buffer | Promise<Buffer> => (delayMs === 0 ? ALLOW : sleep(delayMs, ALLOW));
  let server: ListeningServer | undefined;
  beforeEach(async () => {
    met.length = 0;
    server = await listenUnary({
      methods: new Map([[CHECK_PATH, { handle: answer }]]),
      onConnectionError: (reason) => void met.push(reason),
    });
  });
  afterAll(async () => {
    await server?.stop();
  });

  test.each<[string, Variant, Record<number, number> | undefined]>([
    ['a timeout of 20 ms that every check exceeds', { timeout: '0.02s', delayMs: 400 }, { 503: REQUESTS }],
    // Some are answered in time.
    ['a timeout of 1 ms', { timeout: '0.001s', delayMs: 0 }, undefined],
    ['a PING every 10 ms', { timeout: '20s', delayMs: 1, keepalive: '0.01s' }, { 200: REQUESTS }],
    ['10 kB of headers', { timeout: '20s', delayMs: 0, metadata: 'm'.repeat(10_000) }, { 200: REQUESTS }],
  ])(`keeps the connection of an Envoy with %s, for ${REQUESTS} checks`, async (_what, variant, expected) => {
    delayMs = variant.delayMs;
    const envoy = await startEnvoy(envoyConfig(server?.address ?? '', variant));
    const statuses = await responses(envoy, REQUESTS);
    const stats = await envoy.stats('^cluster\\.authz\\.upstream_cx_(total|destroy)$');
    await envoy.stop();
    await server?.stop();
    expect(met).toEqual([]);
    expect(Object.values(statuses).reduce((sum, each) => sum + each, 0)).toBe(REQUESTS);
    if (expected !== undefined) expect(statuses).toEqual(expected);
    expect(stats).toEqual({ 'cluster.authz.upstream_cx_total': 1, 'cluster.authz.upstream_cx_destroy': 0 });
  });
});
