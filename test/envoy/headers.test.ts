/** Tests envoy.yaml and Istio's filters against header aliases, override headers, many headers, and preflights with a body. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import { RESULT_HEADERS } from '../../src/authz/result-header.ts';
import {
  EXT_AUTHZ,
  type Sample,
  type SeenRequest,
  send,
  startSample,
  startUpstream,
  type Upstream,
} from '../support/envoy.ts';
import { type RunningService, startServe } from '../support/process.ts';
import { readSample, type SampleObject } from '../support/sample-files.ts';
import { freshToken, SECRET } from '../support/token.ts';

const CONFIG = `
policies:
  default: {forwardClaims: [did, ip, arc, iss, aud, sub]}
  limited: {mode: limit}
  watched: {mode: observe}
routes:
  - {pathPrefix: /observe, policy: watched}
`;
const CLAIMS = { did: 'd', ip: '1.2.3.4', arc: 'A', iss: 'i', aud: 'a', sub: 's' };

const folder = mkdtempSync(join(tmpdir(), 'headers-'));
let upstream: Upstream;
let service: RunningService;

beforeAll(async () => {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, CONFIG);
  [upstream, service] = await Promise.all([
    startUpstream(),
    startServe({ APPROOV_BASE64_SECRET: SECRET }, ['--config', file]),
  ]);
});
afterAll(async () => {
  await service?.kill();
  await upstream?.close();
  rmSync(folder, { recursive: true });
});

function start(change?: (sample: Sample) => void): Promise<RunningEnvoy> {
  return startSample({ services: [service.grpc], upstream: upstream.address }, change);
}

/** The characters of header names besides letters, digits and the dash (RFC 9110 section 5.6.2). */
const SEPARATORS = [..."!#$%&'*+.^_`|~"];
const ALIASES = RESULT_HEADERS.flatMap((name) => [
  name.toUpperCase(),
  ...SEPARATORS.flatMap((separator) => [name.replaceAll('-', separator), name.replace('-', separator)]),
]);

/** The header lines that are ours to servers that turn every other character into an underscore. */
function oursByAlias(seen: SeenRequest | undefined): (readonly [string, string])[] {
  const names: readonly string[] = RESULT_HEADERS.map((name) => name.replaceAll('-', '_'));
  return (seen?.headers ?? []).filter(([name]) => names.includes(name.replaceAll(/[^a-z0-9]/g, '_')));
}

/** As in Istio: its filter, no early header mutation, underscores allowed. */
function istioFilter(file: string): (sample: Sample) => void {
  const patches: SampleObject[] = readSample('istio', file)
    .filter(({ kind }) => kind === 'EnvoyFilter')
    .flatMap(({ spec }) => spec.configPatches);
  const [
    {
      patch: { value },
    } = { patch: {} },
  ] = patches.filter(({ patch }) => patch.operation === 'INSERT_FIRST');
  return (sample) => {
    sample.connectionManager.delete('early_header_mutation_extensions');
    sample.connectionManager.deleteIn(['common_http_protocol_options', 'headers_with_underscores_action']);
    sample.addHttpFilterFirst(value);
  };
}

/** Envoy Gateway turns `earlyRequestHeaders` into early header mutations. */
function gatewayMutations(sample: Sample): void {
  const [policy] = readSample('envoy-gateway', 'gateway.yaml').filter(
    ({ kind }) => kind === 'ClientTrafficPolicy',
  );
  const patterns: SampleObject[] = policy?.['spec'].headers.earlyRequestHeaders.removeOnMatch;
  const path = ['early_header_mutation_extensions', 0, 'typed_config', 'mutations'];
  sample.connectionManager.setIn(
    path,
    patterns.map(({ value }) => ({ remove_on_match: { key_matcher: { safe_regex: { regex: value } } } })),
  );
}

describe.each([
  { name: 'envoy.yaml', change: () => undefined },
  {
    name: 'envoy.yaml that keeps headers with underscores',
    change: ({ connectionManager }: Sample) =>
      void connectionManager.deleteIn(['common_http_protocol_options', 'headers_with_underscores_action']),
  },
  { name: 'deploy/istio/remove-forged-headers.yaml', change: istioFilter('remove-forged-headers.yaml') },
  { name: 'deploy/istio/sidecar.yaml', change: istioFilter('sidecar.yaml') },
  { name: 'deploy/istio/waypoint.yaml', change: istioFilter('waypoint.yaml') },
])('under $name', ({ change }) => {
  describe.each([
    { allowed: 'with allowed_headers', hide: () => undefined },
    {
      allowed: 'without allowed_headers',
      hide: ({ httpFilter }: Sample) => void httpFilter(EXT_AUTHZ).delete('allowed_headers'),
    },
  ])('$allowed', ({ hide }) => {
    let envoy: RunningEnvoy;
    beforeAll(async () => {
      envoy = await start((sample) => {
        change(sample);
        hide(sample);
        // The limit in Istio is 10,000.
        sample.connectionManager.setIn(['common_http_protocol_options', 'max_headers_count'], 1000);
      });
    });
    afterAll(() => envoy?.stop());

    test.each([
      { name: 'a verified request', path: '/orders', token: true, seen: ['verified', 'allow'] },
      {
        name: 'one under limit',
        path: '/search',
        token: false,
        seen: ['unverified', 'limit', 'missing_approov_token'],
      },
      {
        name: 'one under observe',
        path: '/observe',
        token: false,
        seen: ['unverified', 'allow', 'missing_approov_token'],
      },
      { name: 'one that Envoy does not ask about', path: '/public', token: false, seen: [] },
    ])('$name reaches the upstream with no alias of a result header', async ({ path, token, seen }) => {
      const forged = ALIASES.map((name) => [name, 'forged'] as const);
      const headers = token ? [...forged, ['approov-token', freshToken()] as const] : forged;
      const answer = await send(envoy, { path, headers });
      expect(answer.status).toBe(200);
      expect(oursByAlias(answer.upstream).map(([, value]) => value)).toEqual(seen);
    });
  });
});

test('a client that does not finish its headers gets 408', async () => {
  const envoy = await start(({ connectionManager }) =>
    connectionManager.set('request_headers_timeout', '1s'),
  );
  const socket = connect(envoy.port('api'), '127.0.0.1');
  socket.write('GET /orders HTTP/1.1\r\nhost: api.example.com\r\n');
  const [head] = await once(socket, 'data');
  socket.destroy();
  await envoy.stop();
  expect(String(head)).toMatch(/^HTTP\/1.1 408 /);
});

describe.each([
  { name: 'envoy.yaml', change: () => undefined },
  { name: 'deploy/istio/remove-forged-headers.yaml', change: istioFilter('remove-forged-headers.yaml') },
  { name: 'deploy/istio/sidecar.yaml', change: istioFilter('sidecar.yaml') },
  { name: 'deploy/istio/waypoint.yaml', change: istioFilter('waypoint.yaml') },
  { name: 'deploy/envoy-gateway/gateway.yaml', change: gatewayMutations },
])('under $name', ({ change }) => {
  test('no header with which frameworks override what was checked reaches the upstream', async () => {
    const names = [
      ...['x-http-method-override', 'x-http-method', 'x-method-override', 'X-HTTP.Method.Override'],
      ...['x-http-host-override', 'x-http-path-override', 'x-httpmethod', 'x-httpmethod-override'],
      ...['x-original-url', 'x-original-uri', 'x-original-host', 'x-original-method', 'x-rewrite-url'],
      ...['x-override-url', 'x-forwarded-host', 'x-forwarded-uri', 'x-forwarded-path', 'x-forwarded-prefix'],
      ...['x-forwarded-original-path', 'x-forwarded-method', 'x-request-uri', 'x-proxy-url'],
      ...['x-host', 'x-url', 'x-uri', 'x.url', 'forwarded'],
    ];
    const kept = ['x-origin-region', 'x-request-id', 'x-http-version', 'x-urls', 'x-request-start'];
    const envoy = await start(change);
    for (const path of ['/public', '/orders']) {
      const headers = [
        ...names.map((name) => [name, 'forged'] as const),
        ...kept.map((name) => [name, `kept ${name}`] as const),
        ['approov-token', freshToken()] as const,
      ];
      const { status, upstream: seen } = await send(envoy, { path, headers });
      expect(status).toBe(200);
      expect(seen?.headers.filter(([, value]) => value === 'forged')).toEqual([]);
      for (const name of kept.filter((name) => name !== 'x-request-id'))
        expect(seen?.headers).toContainEqual([name, `kept ${name}`]);
      expect(seen?.headers.map(([name]) => name)).toContain('x-request-id');
    }
    await envoy.stop();
  });
});

describe('envoy.yaml', () => {
  let envoy: RunningEnvoy;
  beforeAll(async () => {
    envoy = await start();
  });
  afterAll(() => envoy?.stop());

  describe('for a client', () => {
    /** This number of header lines, including host and token. */
    const lines = (count: number) => [
      ['approov-token', freshToken(CLAIMS)] as const,
      ...Array.from({ length: count - 2 }, (_, index) => [`x-header-${index}`, 'v'] as const),
    ];
    // Node adds `connection`, which Envoy counts before it removes it.
    const sendLines = (count: number) => send(envoy, { headers: lines(count - 1) });

    test('accepts 100 headers, and Envoy and the service can still add theirs', async () => {
      const { status, upstream: seen } = await sendLines(100);
      expect(status).toBe(200);
      expect(oursByAlias(seen)).toHaveLength(8);
    });

    test('answers 431 to more than max_headers_count headers', async () => {
      expect((await sendLines(129)).status).toBe(431);
    });
  });

  describe('for a preflight', () => {
    const PREFLIGHT = { origin: 'https://elsewhere.example.com', 'access-control-request-method': 'POST' };

    const statusOf = async (headers: Readonly<Record<string, string>>, body: string): Promise<number> => {
      const call = httpRequest({
        ...{ host: '127.0.0.1', port: envoy.port('api'), agent: false },
        ...{ method: 'OPTIONS', path: '/orders/preflight', headers: { ...PREFLIGHT, ...headers } },
      });
      // Envoy may answer and close before it has received the whole body.
      call.on('error', () => undefined);
      call.end(body);
      const [response] = await once(call, 'response');
      response.resume();
      return response.statusCode;
    };

    test('without a body, allows it', async () => {
      expect(await statusOf({}, '')).toBe(200);
    });

    test.each([
      { name: 'of a length that it states', headers: { 'content-length': '17' } },
      { name: 'in chunks', headers: { 'transfer-encoding': 'chunked' } },
    ])('with a body $name answers 400, and the upstream sees none of it', async ({ headers }) => {
      const before = upstream.seen.length;
      expect(await statusOf(headers, '{"method":"DELETE"'.slice(0, 17))).toBe(400);
      expect(upstream.seen.length).toBe(before);
    });

    test('that asks for an upgrade, answers 400 without waiting for its end, and the upstream sees none of it', async () => {
      const before = upstream.seen.length;
      expect(await statusOf({ connection: 'Upgrade', upgrade: 'websocket' }, '')).toBe(400);
      expect(upstream.seen.length).toBe(before);
    });

    test('with a body of unknown length over HTTP/2, answers 400', async () => {
      const before = upstream.seen.length;
      const session = connectHttp2(`http://127.0.0.1:${envoy.port('api')}`);
      const call = session.request({ ':method': 'OPTIONS', ':path': '/orders/preflight', ...PREFLIGHT });
      call.on('error', () => undefined);
      call.end('{"method":"DELETE"}');
      const [headers] = await once(call, 'response');
      session.destroy();
      expect(headers[':status']).toBe(400);
      expect(upstream.seen.length).toBe(before);
    });
  });

  test('allows a body with other methods', async () => {
    const call = httpRequest({
      ...{ host: '127.0.0.1', port: envoy.port('api'), agent: false, method: 'POST', path: '/orders' },
      headers: { 'approov-token': freshToken() },
    });
    call.end('{"item":42}');
    const [response] = await once(call, 'response');
    response.resume();
    expect(response.statusCode).toBe(200);
  });
});
