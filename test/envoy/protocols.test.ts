/** Tests that every kind of request is checked behind a real Envoy: gRPC, HEAD, preflights, WebSockets, CONNECT, HTTP/1.0, and ambiguous paths. */
import { once } from 'node:events';
import { connect as connectHttp2, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import { RESULT_HEADERS } from '../../src/authz/result-header.ts';
import {
  accessLogOf,
  linesWith,
  open,
  type Sample,
  type Sent,
  send,
  startSample,
  startSampleService,
  startUpstream,
  type Upstream,
  withSample,
} from '../support/envoy.ts';
import type { RunningService } from '../support/process.ts';
import { freshToken } from '../support/token.ts';

let upstream: Upstream;
let service: RunningService;
let envoy: RunningEnvoy;

beforeAll(async () => {
  [upstream, service] = await Promise.all([startUpstream(), startSampleService()]);
  envoy = await startSample(addresses());
});
afterAll(async () => {
  await envoy?.stop();
  await service?.kill();
  await upstream?.close();
});

function addresses() {
  return { services: [service.grpc], upstream: upstream.address };
}

function token(): readonly [string, string] {
  return ['approov-token', freshToken()];
}

function seenAt(path: string) {
  return upstream.seen.filter((seen) => seen.path === path);
}

describe('a gRPC client', () => {
  const call = (path: string, headers: Record<string, string>): Promise<ServiceError | null> => {
    const client = new Client(`127.0.0.1:${envoy.port('api')}`, credentials.createInsecure());
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    return new Promise((resolve) => {
      const bytes = (value: Buffer): Buffer => value;
      client.makeUnaryRequest(
        path,
        bytes,
        bytes,
        Buffer.from('x'),
        metadata,
        { deadline: Date.now() + 20_000 },
        (error) => {
          client.close();
          resolve(error);
        },
      );
    });
  };

  test('without a valid token gets UNAUTHENTICATED with the denied body as its message', async () => {
    const error = await call('/shop.Orders/Refused', { 'approov-token': 'a.b.c' });
    expect(error).toMatchObject({ code: 16, details: '{}' });
    expect(error?.metadata.get('www-authenticate')).toEqual(['Approov']);
    expect(seenAt('/shop.Orders/Refused')).toEqual([]);
  });

  test('with a valid token reaches the upstream', async () => {
    await call('/shop.Orders/Verified', { 'approov-token': freshToken() });
    expect(seenAt('/shop.Orders/Verified').map((seen) => linesWith(seen, 'verdict'))).toEqual([
      { 'x-approov-verdict': ['verified'] },
    ]);
  });
});

describe('HEAD', () => {
  test('without a token is refused without a body', async () => {
    expect(await send(envoy, { method: 'HEAD' })).toMatchObject({ status: 401, body: '' });
  });

  test('with a valid token reaches the upstream', async () => {
    const { status } = await send(envoy, { method: 'HEAD', path: '/head', headers: [token()] });
    expect(status).toBe(200);
    expect(seenAt('/head')).toMatchObject([{ method: 'HEAD' }]);
  });
});

describe('OPTIONS', () => {
  const preflight = (path: string, origin: string): Sent => ({
    method: 'OPTIONS',
    path,
    headers: [
      ['origin', origin],
      ['access-control-request-method', 'POST'],
    ],
  });

  test('as a preflight on a route with a CORS policy is answered by Envoy without a check', async () => {
    const answer = await send(envoy, preflight('/web/preflight', 'https://app.example.com'));
    expect(answer).toMatchObject({
      status: 200,
      headers: {
        'access-control-allow-origin': 'https://app.example.com',
        'access-control-allow-headers': expect.stringContaining('approov-token'),
      },
    });
    expect(seenAt('/web/preflight')).toEqual([]);
    expect(await accessLogOf(envoy, '/web/preflight')).toMatchObject({ approov_verdict: null });
  });

  test.each([
    { name: 'on a route without one', path: '/orders/preflight', origin: 'https://app.example.com' },
    { name: 'from another origin', path: '/web/elsewhere', origin: 'https://elsewhere.example.com' },
  ])('as a preflight $name reaches us and is skipped', async ({ path, origin }) => {
    const { status, upstream: seen } = await send(envoy, preflight(path, origin));
    expect(status).toBe(200);
    expect(linesWith(seen, 'x-approov')).toEqual({
      'x-approov-verdict': ['skipped'],
      'x-approov-action': ['allow'],
      'x-approov-reason': ['cors_preflight'],
    });
  });

  test('that is not a preflight is refused like any other request', async () => {
    expect((await send(envoy, { method: 'OPTIONS' })).status).toBe(401);
  });

  test('a denied request gets the CORS headers without which a browser hides the answer from the page', async () => {
    const origin = 'https://app.example.com';
    const answer = await send(envoy, { method: 'POST', path: '/web', headers: [['origin', origin]] });
    expect(answer).toMatchObject({ status: 401, headers: { 'access-control-allow-origin': origin } });
  });
});

describe('a WebSocket', () => {
  const upgrade = (path: string, ...headers: (readonly [string, string])[]): Sent => ({
    path,
    headers: [
      ['connection', 'upgrade'],
      ['upgrade', 'websocket'],
      ['sec-websocket-version', '13'],
      ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='],
      ...headers,
    ],
  });

  test('without a token is refused', async () => {
    expect(await open(envoy, upgrade('/socket/refused'))).toEqual({ status: 401, socket: undefined });
    expect(seenAt('/socket/refused')).toEqual([]);
  });

  test('with a valid token opens, and the upstream sees the verdict', async () => {
    const { status, socket } = await open(envoy, upgrade('/socket/verified', token()));
    expect(status).toBe(101);
    socket?.write('ping');
    expect(String(await firstBytes(socket))).toBe('ping');
    socket?.destroy();
    expect(seenAt('/socket/verified').map((seen) => linesWith(seen, 'verdict'))).toEqual([
      { 'x-approov-verdict': ['verified'] },
    ]);
  });

  test('is closed after max_stream_duration, so that it does not outlive its token forever', async () => {
    const shorten = ({ connectionManager }: Sample): void =>
      connectionManager.setIn(['common_http_protocol_options', 'max_stream_duration'], '3s');
    await withSample(addresses(), shorten, async (variant) => {
      const { status, socket } = await open(variant, upgrade('/socket/short', token()));
      expect(status).toBe(101);
      await (socket && once(socket.resume(), 'close'));
    });
  });
});

describe('CONNECT', () => {
  const tunnel = (...headers: (readonly [string, string])[]): Sent => ({
    method: 'CONNECT',
    path: 'api.example.com:443',
    headers,
  });

  test('matches no route of the sample, even with a valid token', async () => {
    expect(await open(envoy, tunnel(token()))).toEqual({ status: 404, socket: undefined });
    expect(upstream.seen.filter(({ method }) => method === 'CONNECT')).toEqual([]);
  });

  test('is checked where a route allows it', async () => {
    const allowConnect = ({ connectionManager }: Sample): void => {
      connectionManager.addIn(['upgrade_configs'], { upgrade_type: 'CONNECT' });
      connectionManager.setIn(['http2_protocol_options', 'allow_connect'], true);
      connectionManager.setIn(['route_config', 'virtual_hosts', 0, 'routes', 0, 'match'], {
        connect_matcher: {},
      });
      connectionManager.deleteIn([
        'route_config',
        'virtual_hosts',
        0,
        'routes',
        0,
        'typed_per_filter_config',
      ]);
    };
    await withSample(addresses(), allowConnect, async (variant) => {
      expect(await open(variant, tunnel())).toEqual({ status: 401, socket: undefined });
      const { status, socket } = await open(variant, tunnel(token()));
      expect(status).toBe(200);
      socket?.write('ping');
      expect(String(await firstBytes(socket))).toBe('ping');
      socket?.destroy();
      expect(await statusOfHttp2Tunnel(variant)).toBe(401);
      expect(variant.isRunning()).toBe(true);
    });
  });
});

describe('HTTP/1.0', () => {
  const sendOld = async (to: RunningEnvoy, path: string, ...lines: string[]): Promise<string> => {
    const socket = connect(to.port('api'), '127.0.0.1');
    socket.write([`GET ${path} HTTP/1.0`, 'Host: api.example.com', ...lines, '', ''].join('\r\n'));
    const answer = await text(socket);
    return answer.split('\r\n')[0] ?? '';
  };

  test('is rejected by the sample', async () => {
    const line = await sendOld(envoy, '/old/refused', `approov-token: ${freshToken()}`);
    expect(line).toBe('HTTP/1.1 426 Upgrade Required');
    expect(seenAt('/old/refused')).toEqual([]);
  });

  test('is checked where it is accepted', async () => {
    const acceptOld = ({ connectionManager }: Sample): void =>
      connectionManager.setIn(['http_protocol_options', 'accept_http_10'], true);
    await withSample(addresses(), acceptOld, async (variant) => {
      expect(await sendOld(variant, '/old')).toMatch(/^HTTP\/1\.[01] 401 /);
      expect(seenAt('/old')).toEqual([]);
      expect(await sendOld(variant, '/old', `approov-token: ${freshToken()}`)).toMatch(/^HTTP\/1\.[01] 200 /);
    });
  });
});

describe('on the unchecked route', () => {
  test('no spelling of a forged result header reaches the upstream', async () => {
    const spellings = RESULT_HEADERS.flatMap((name) => [name, name.toUpperCase(), name.replaceAll('-', '_')]);
    const headers = spellings.map((name) => [name, 'forged'] as const);
    const { status, upstream: seen } = await send(envoy, {
      path: '/public',
      headers: [...headers, ...headers],
    });
    expect(status).toBe(200);
    expect(seen?.headers.filter(([, value]) => value === 'forged')).toEqual([]);
  });

  test.each([
    '/public/../orders',
    '/public/./../orders',
    '/public/%2e%2e/orders',
    '/publicity',
    '//orders/public',
    '/PUBLIC',
    '/%70ublicity',
  ])('%s is no way around the check', async (path) => {
    const count = upstream.seen.length;
    expect((await send(envoy, { path })).status).toBe(401);
    expect(upstream.seen.length).toBe(count);
  });

  test.each(['/public/..%2forders', '/public/..%5Corders', '/public%2f..%2forders'])(
    '%s is refused by Envoy itself',
    async (path) => {
      const count = upstream.seen.length;
      expect((await send(envoy, { path, headers: [token()] })).status).toBe(400);
      expect(upstream.seen.length).toBe(count);
    },
  );

  test.each([
    { path: '//public//logo.png', seen: '/public/logo.png' },
    { path: '/orders/../public/logo.png', seen: '/public/logo.png' },
    { path: '/public?next=/../orders', seen: '/public?next=/../orders' },
  ])('$path reaches the upstream as $seen', async ({ path, seen }) => {
    expect((await send(envoy, { path })).upstream?.path).toBe(seen);
  });
});

/** CONNECT over HTTP/2 has no path, which has crashed filters before. */
async function statusOfHttp2Tunnel(to: RunningEnvoy): Promise<number | undefined> {
  const session = connectHttp2(`http://127.0.0.1:${to.port('api')}`);
  const call = session.request({ ':method': 'CONNECT', ':authority': 'api.example.com:443' });
  const [headers] = (await once(call, 'response')) as [IncomingHttpHeaders & IncomingHttpStatusHeader];
  session.destroy();
  return headers[':status'];
}

async function firstBytes(socket: NodeJS.EventEmitter | undefined): Promise<unknown> {
  if (socket === undefined) throw new Error('no open connection');
  const [bytes] = await once(socket, 'data');
  return bytes;
}
