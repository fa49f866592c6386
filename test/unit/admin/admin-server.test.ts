/** Tests the content of the admin pages, who may read them, and the limits of their connections. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type AdminPages, type AdminServer, createAdminServer } from '../../../src/admin/admin-server.ts';
import type { ListenAddress } from '../../../src/config/address.ts';
import { PATIENCE } from '../../support/patience.ts';
import { IPV6, unmet } from '../../support/requirement.ts';
import { reportOf } from '../../support/rollout.ts';

const withoutIpv6 = await unmet([IPV6], 'that the admin server answers on IPv6');

const LOOPBACK: ListenAddress = { kind: 'tcp', host: '127.0.0.1', port: 0 };

let server: AdminServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function start(target: ListenAddress, pages: Partial<AdminPages> = {}): Promise<ListenAddress> {
  server = createAdminServer({
    readiness: () => ({
      isReady: true,
      components: { process: 'serving', keys: { current: '0123456789ab' } },
    }),
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'a_metric 1\n' }),
    configuration: () => 'listen: {}\n',
    rollout: async () => reportOf(),
    overrides: { active: () => [], apply: () => ({ kind: 'unknown_policy', known: [] }) },
    onError: () => {},
    onListenerError: () => {},
    ...pages,
  });
  return server.listen(target);
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

async function get(where: ListenAddress, path: string, options: RequestOptions = {}): Promise<Answer> {
  const address = where.kind === 'unix' ? { socketPath: where.path } : { host: where.host, port: where.port };
  const sent = request({ ...address, path, agent: false, ...options }).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

describe('an admin page', () => {
  test('/livez is ok', async () => {
    const answer = await get(await start(LOOPBACK), '/livez');
    expect(answer).toMatchObject({
      status: 200,
      body: 'ok\n',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
    });
  });

  test('/readyz is ready, with the state of each component', async () => {
    const answer = await get(await start(LOOPBACK), '/readyz');
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
    const components = { process: 'serving', keys: { current: '0123456789ab' } };
    expect(JSON.parse(answer.body)).toEqual({ status: 'ready', components });
  });

  test('/readyz is 503 with the state of each component if the service is not ready', async () => {
    const readiness = () => ({ isReady: false, components: { process: 'draining' } });
    const answer = await get(await start(LOOPBACK, { readiness }), '/readyz');
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.body)).toEqual({ status: 'not ready', components: { process: 'draining' } });
  });

  test('/metrics is the exposition with its content type', async () => {
    const answer = await get(await start(LOOPBACK), '/metrics');
    expect(answer).toMatchObject({
      status: 200,
      body: 'a_metric 1\n',
      headers: { 'content-type': 'text/plain; version=0.0.4' },
    });
  });

  test('/config is YAML', async () => {
    const answer = await get(await start(LOOPBACK), '/config');
    expect(answer).toMatchObject({
      status: 200,
      body: 'listen: {}\n',
      headers: { 'content-type': 'application/yaml; charset=utf-8' },
    });
  });

  test.each(['/livez', '/readyz', '/metrics', '/config', '/', '/rollout', '/nothing'])(
    '%s has cache-control: no-store',
    async (path) => {
      expect((await get(await start(LOOPBACK), path)).headers['cache-control']).toBe('no-store');
    },
  );

  test('ignores the query', async () => {
    expect((await get(await start(LOOPBACK), '/livez?a=/b')).status).toBe(200);
  });

  test.each([
    '/index.html',
    '/livez/',
    '/LIVEZ',
    '//livez',
    '/toString',
    '/__proto__',
    '/constructor',
    '/%6civez',
  ])('that does not exist (%s) is 404 with the list of pages', async (path) => {
    const answer = await get(await start(LOOPBACK), path);
    expect(answer).toMatchObject({
      status: 404,
      body: 'not found; pages: / /rollout /rollout.json /livez /readyz /metrics /config /override\n',
    });
  });

  test.each(['POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS'])('is 405 for %s', async (method) => {
    const answer = await get(await start(LOOPBACK), '/livez', { method });
    expect(answer).toMatchObject({ status: 405, headers: { allow: 'GET' } });
  });

  test('that throws is 500 without the message, and the error is reported', async () => {
    const reported: unknown[] = [];
    const error = new Error('planted');
    const where = await start(LOOPBACK, {
      metrics: () => Promise.reject(error),
      configuration: () => {
        throw error;
      },
      onError: (thrown) => void reported.push(thrown),
    });
    for (const path of ['/metrics', '/config']) {
      expect(await get(where, path)).toMatchObject({ status: 500, body: 'internal error\n' });
    }
    expect(reported).toEqual([error, error]);
  });
});

describe('/rollout and the index', () => {
  const security = {
    'content-security-policy': expect.stringMatching(/^default-src 'none'; style-src 'sha256-/),
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  };

  test.each(['/rollout', '/'])('are HTML that may load nothing (%s)', async (path) => {
    const answer = await get(await start(LOOPBACK), path);
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'content-type': 'text/html; charset=utf-8', ...security },
    });
    expect(answer.body).toMatch(/^<!doctype html>\n<html lang="en">/);
  });

  test('have the report as JSON next to them', async () => {
    const answer = await get(await start(LOOPBACK), '/rollout.json');
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(answer.body)).toEqual(reportOf());
  });

  test('link to every admin page from the index', async () => {
    const where = await start(LOOPBACK);
    const { body } = await get(where, '/');
    const linked = [...body.matchAll(/<a href="([^"]+)">/g)].map(([, href = '']) => href);
    const pages = /pages: (.*)/.exec((await get(where, '/nothing')).body)?.[1]?.split(' ');
    expect(['/', ...linked].sort()).toEqual(pages?.sort());
  });

  test('are 500 without the message if there is no report', async () => {
    const where = await start(LOOPBACK, { rollout: () => Promise.reject(new Error('planted')) });
    for (const path of ['/rollout', '/rollout.json'])
      expect(await get(where, path)).toMatchObject({ status: 500, body: 'internal error\n' });
  });

  test('say why a mode is overridden to clients on this machine only, as /override does', async () => {
    const override = {
      mode: 'observe',
      since: '2026-11-24T05:58:00.000Z',
      until: '2026-11-24T06:30:00.000Z',
      reason: 'login fails',
    };
    const where = await start(LOOPBACK, {
      rollout: async () => reportOf({ overrides: new Map([['default', override]]) }),
    });
    for (const path of ['/rollout', '/rollout.json']) {
      expect((await get(where, path)).body).toContain('login fails');
      const remote = (await get(where, path, { headers: { host: 'authz.example' } })).body;
      expect(remote).not.toContain('login fails');
      expect(remote).toContain('2026-11-24T06:30:00.000Z');
    }
  });

  test('answer clients that /config refuses, as /metrics does', async () => {
    const headers = { host: 'authz.example', 'x-forwarded-for': '192.0.2.1' };
    for (const path of ['/rollout', '/rollout.json', '/'])
      expect((await get(await start(LOOPBACK), path, { headers })).status).toBe(200);
  });
});

describe('/config', () => {
  const refused = { status: 403, body: expect.stringMatching(/^only for clients on this machine: /) };

  test.each<[host: string, client: string]>([
    ['127.0.0.1', '127.0.0.1'],
    ['0.0.0.0', '127.0.0.1'],
  ])('answers a loopback client (listening on %s, connected to %s)', async (host, client) => {
    const where = await start({ kind: 'tcp', host, port: 0 });
    expect((await get({ ...where, host: client } as ListenAddress, '/config')).status).toBe(200);
  });

  test.skipIf(withoutIpv6 !== '')(
    `answers a loopback client over IPv6, also on a dual-stack socket${withoutIpv6}`,
    async () => {
      const where = await start({ kind: 'tcp', host: '::', port: 0 });
      for (const client of ['::1', '127.0.0.1']) {
        expect((await get({ ...where, host: client } as ListenAddress, '/config')).status).toBe(200);
      }
    },
  );

  test('refuses other addresses of 127.0.0.0/8, which a proxy may use', async () => {
    const where = await start({ kind: 'tcp', host: '127.0.0.1', port: 0 });
    const answer = await get(where, '/config', { localAddress: '127.0.0.6' });
    expect(answer).toMatchObject(refused);
    expect((await get(where, '/livez', { localAddress: '127.0.0.6' })).status).toBe(200);
  });

  test.each(['localhost', 'LOCALHOST:9002', '127.0.0.1', '127.0.0.1:9002', '[::1]', '[::1]:9002'])(
    'answers the Host %s',
    async (host) => {
      expect((await get(await start(LOOPBACK), '/config', { headers: { host } })).status).toBe(200);
    },
  );

  test.each([
    'rebound.example',
    'rebound.example:9002',
    'localhost.rebound.example',
    '127.0.0.1.nip.io',
    'x@127.0.0.1',
    '127.0.0.1:',
    '127.0.0.2',
    '::1',
  ])('refuses the Host "%s" (DNS rebinding)', async (host) => {
    const where = await start(LOOPBACK);
    expect(await get(where, '/config', { headers: { host } })).toMatchObject(refused);
    expect((await get(where, '/livez', { headers: { host } })).status).toBe(200);
  });

  test('refuses a request with two Host headers or none', async () => {
    const where = await start(LOOPBACK);
    const ask = async (head: string): Promise<string> => {
      const peer = connect(where.kind === 'tcp' ? where.port : 0, '127.0.0.1');
      peer.write(`GET /config HTTP/1.0\r\n${head}\r\n`);
      return text(peer);
    };
    expect(await ask('Host: localhost\r\n')).toContain('listen: {}');
    for (const head of ['Host: localhost\r\nHost: rebound.example\r\n', '']) {
      expect(await ask(head)).not.toContain('listen: {}');
    }
  });

  test.each([
    ['x-forwarded-for', '127.0.0.1'],
    ['X-Forwarded-For', ''],
    ['via', '1.1 proxy'],
    ['forwarded', 'for=127.0.0.1'],
    ['x-forwarded-proto', 'https'],
    ['x-real-ip', '127.0.0.1'],
    ['x-request-id', '0f9f6f0e-7c1c-4a43-9d3b-a2a86bf46f1b'],
    ['x-envoy-expected-rq-timeout-ms', '15000'],
  ])('refuses a request through a proxy on this machine (%s: %s)', async (name, value) => {
    const headers = { host: 'localhost', [name]: value };
    expect(await get(await start(LOOPBACK), '/config', { headers })).toMatchObject(refused);
  });

  test('refuses a client on a Unix socket, whose address is unknown', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'admin-'));
    const where = await start({ kind: 'unix', path: join(folder, 'admin.sock') });
    expect(await get(where, '/config')).toMatchObject(refused);
    expect((await get(where, '/livez')).status).toBe(200);
    rmSync(folder, { recursive: true });
  });

  test.runIf(outerAddress() !== undefined)(
    'refuses a client that is not on loopback (needs another address)',
    async () => {
      const where = await start({ kind: 'tcp', host: '0.0.0.0', port: 0 });
      const headers = { 'x-forwarded-for': '127.0.0.1', forwarded: 'for=127.0.0.1', host: 'localhost' };
      expect(
        await get({ ...where, host: outerAddress() } as ListenAddress, '/config', { headers }),
      ).toMatchObject(refused);
      expect((await get({ ...where, host: outerAddress() } as ListenAddress, '/metrics')).status).toBe(200);
    },
  );
});

describe('the admin server', () => {
  test('returns the port that it bound', async () => {
    expect(await start(LOOPBACK)).toMatchObject({ kind: 'tcp', host: '127.0.0.1', port: expect.any(Number) });
  });

  test('closes even if a client keeps its connection open', async () => {
    const where = await start(LOOPBACK);
    const peer = connect(where.kind === 'tcp' ? where.port : 0, '127.0.0.1');
    await once(peer, 'connect');
    peer.write('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n');
    await once(peer, 'data');
    await server?.close();
    server = undefined;
    await once(peer, 'close');
    await expect(get(where, '/livez')).rejects.toThrow('ECONNREFUSED');
  });

  test('at its connection limit closes the oldest idle connection and answers the new one', async () => {
    const where = await start(LOOPBACK);
    const open = () =>
      connect(where.kind === 'tcp' ? where.port : 0, '127.0.0.1')
        .on('error', () => {})
        .resume();
    const first = open();
    await once(first, 'connect');
    const others = Array.from({ length: 255 }, open);
    await Promise.all(others.map((peer) => once(peer, 'connect')));
    for (const peer of others) peer.write('GET /livez HTTP/1.1\r\nhost: x\r\n');
    expect((await get(where, '/livez')).status).toBe(200);
    await vi.waitFor(() => expect(first.closed).toBe(true), PATIENCE);
    for (const peer of others) peer.destroy();
  });

  test('at its connection limit with no idle connection closes the new one', async () => {
    let [requests, release] = [0, (): void => undefined];
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const where = await start(LOOPBACK, {
      async metrics() {
        requests++;
        await held;
        return { contentType: 'text/plain', text: '' };
      },
    });
    const waiting = Array.from({ length: 256 }, () => get(where, '/metrics'));
    await vi.waitFor(() => expect(requests).toBe(256), PATIENCE);
    await expect(get(where, '/livez')).rejects.toThrow();
    release();
    expect(new Set((await Promise.all(waiting)).map(({ status }) => status))).toEqual(new Set([200]));
  });

  test.each([
    ['nothing', ''],
    ['half of its headers', 'GET /livez HTTP/1.1\r\nhost: x\r\n'],
    ['half of its body', 'POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n1'],
  ])('closes a connection that sends %s and then stalls', async (_name, begin) => {
    const where = await start(LOOPBACK);
    const peer = connect(where.kind === 'tcp' ? where.port : 0, '127.0.0.1').on('error', () => {});
    peer.resume().write(begin);
    await vi.waitFor(() => expect(peer.closed).toBe(true), PATIENCE);
  });

  test('answers 400 to a client that does not speak HTTP, and keeps serving', async () => {
    const where = await start(LOOPBACK);
    const peer = connect(where.kind === 'tcp' ? where.port : 0, '127.0.0.1').on('error', () => {});
    peer.write(Buffer.from('160301\xff\r\n\r\n', 'latin1'));
    expect(await text(peer)).toContain('400 Bad Request');
    expect((await get(where, '/livez')).status).toBe(200);
  });
});

/** An address of this machine that is not loopback. */
function outerAddress(): string | undefined {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
}
