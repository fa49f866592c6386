/** Tests who may set an override over HTTP, and what each request is answered. */
import { once } from 'node:events';
import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type AdminServer, createAdminServer } from '../../../src/admin/admin-server.ts';
import type { ActiveOverride, OverrideOutcome } from '../../../src/admin/override-page.ts';
import type { OverrideRequest } from '../../../src/config/override-request.ts';
import { reportOf } from '../../support/rollout.ts';

const NOT_LOCAL =
  'only for clients on this machine: a loopback address and Host, and no header of a proxy (Via, Forwarded, X-Forwarded-*, X-Envoy-*)\n';
const SET = { policy: 'default', mode: 'observe', seconds: 60, reason: 'locked out' } as const;
const ACTIVE: ActiveOverride = {
  policy: 'default',
  mode: 'observe',
  configured_mode: 'enforce',
  reason: 'locked out',
  started_at: '2026-11-24T06:00:00.000Z',
  ends_at: '2026-11-24T06:01:00.000Z',
  seconds_left: 60,
};

let server: AdminServer;
let port: number;
let applied: OverrideRequest[];
let errors: unknown[];

beforeAll(async () => {
  server = createAdminServer({
    readiness: () => ({ isReady: true, components: {} }),
    metrics: async () => ({ contentType: 'text/plain', text: '' }),
    configuration: () => '',
    rollout: async () => reportOf(),
    overrides: { active: () => [ACTIVE], apply },
    onError: (error) => errors.push(error),
    onListenerError: () => {},
  });
  const address = await server.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 });
  port = address.kind === 'tcp' ? address.port : 0;
});
beforeEach(() => {
  applied = [];
  errors = [];
});
afterAll(() => server.close());

function apply(asked: OverrideRequest): OverrideOutcome {
  applied.push(asked);
  if (asked.policy !== 'default') return { kind: 'unknown_policy', known: ['default', 'open'] };
  const active = asked.kind === 'set' ? ACTIVE : null;
  return { kind: 'done', policy: 'default', configured_mode: 'enforce', active, ended: null };
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

const JSON_TYPE = { 'content-type': 'application/json' };

async function send(
  body: string | undefined,
  headers: RequestOptions['headers'] = JSON_TYPE,
  options: RequestOptions = {},
): Promise<Answer> {
  const host = '127.0.0.1';
  const sent = request({ host, port, path: '/override', method: 'POST', agent: false, headers, ...options });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

describe('/override', () => {
  test('sets an override', async () => {
    const answer = await send(JSON.stringify(SET));
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(answer.body)).toEqual({
      policy: 'default',
      configured_mode: 'enforce',
      active: ACTIVE,
      ended: null,
    });
    expect(applied).toEqual([{ kind: 'set', ...SET }]);
  });

  test('clears an override', async () => {
    const answer = await send('{"policy": "default", "clear": true}');
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toMatchObject({ active: null });
    expect(applied).toEqual([{ kind: 'clear', policy: 'default' }]);
  });

  test('lists the active overrides', async () => {
    const answer = await send(undefined, {}, { method: 'GET' });
    expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } });
    expect(JSON.parse(answer.body)).toEqual({ overrides: [ACTIVE] });
  });

  test.each([
    'application/json',
    'APPLICATION/JSON',
    'application/json; charset=utf-8',
    'application/json;charset="UTF-8"',
  ])('accepts the type %s', async (type) => {
    expect((await send(JSON.stringify(SET), { 'content-type': type })).status).toBe(200);
  });

  test.each<[what: string, headers: RequestOptions['headers'], status: number, body: string]>([
    ['a Host that is not loopback', { ...JSON_TYPE, host: 'rebound.example' }, 403, NOT_LOCAL],
    ['X-Forwarded-For', { ...JSON_TYPE, 'x-forwarded-for': '127.0.0.1' }, 403, NOT_LOCAL],
    ['Via', { ...JSON_TYPE, via: '1.1 proxy' }, 403, NOT_LOCAL],
    ['Forwarded', { ...JSON_TYPE, forwarded: 'for=127.0.0.1' }, 403, NOT_LOCAL],
    ['an Origin', { ...JSON_TYPE, origin: 'http://127.0.0.1:9002' }, 403, 'not from a web page\n'],
    ['the Origin null', { ...JSON_TYPE, origin: 'null' }, 403, 'not from a web page\n'],
    ['no type', {}, 415, 'content-type must be application/json\n'],
    ['a type of forms', { 'content-type': 'text/plain' }, 415, 'content-type must be application/json\n'],
    [
      'another charset',
      { 'content-type': 'application/json; charset=utf-16' },
      415,
      'content-type must be application/json\n',
    ],
  ])('refuses a request with %s, and applies nothing', async (_, headers, status, body) => {
    expect(await send(JSON.stringify(SET), headers)).toMatchObject({ status, body });
    expect(applied).toEqual([]);
  });

  test('refuses other addresses of 127.0.0.0/8, also to list overrides', async () => {
    const from = { localAddress: '127.0.0.6' };
    expect((await send(JSON.stringify(SET), JSON_TYPE, from)).status).toBe(403);
    expect((await send(undefined, {}, { ...from, method: 'GET' })).status).toBe(403);
    expect(applied).toEqual([]);
  });

  test.each<[what: string, body: string, status: number, answer: string]>([
    ['no body', '', 400, 'body is not JSON\n'],
    ['a body that is not JSON', '{policy: default}', 400, 'body is not JSON\n'],
    [
      'a body of more than 4 KiB',
      JSON.stringify({ ...SET, reason: 'x'.repeat(4096) }),
      413,
      'body of more than 4096 bytes\n',
    ],
    [
      'mode off',
      JSON.stringify({ ...SET, mode: 'off' }),
      400,
      'mode: off is not allowed: observe allows the same requests, and counts them\n',
    ],
    ['a list', '[]', 400, 'must be a JSON object, not an array\n'],
    ['clear: false', '{"policy": "default", "clear": false}', 400, 'clear: must be true\n'],
    [
      'several mistakes, all named',
      JSON.stringify({ ...SET, seconds: 0, reason: '' }),
      400,
      'seconds: 0 must be at least 1\nreason: "" must have 1 to 200 printable characters\n',
    ],
  ])('refuses %s', async (_, body, status, answer) => {
    expect(await send(body)).toMatchObject({ status, body: answer });
    expect(applied).toEqual([]);
  });

  test('is 404 for a policy that is not configured, with those that are', async () => {
    expect(await send(JSON.stringify({ ...SET, policy: 'defualt' }))).toMatchObject({
      status: 404,
      body: 'unknown policy; did you mean default?\n',
    });
    expect(await send(JSON.stringify({ ...SET, policy: 'payments' }))).toMatchObject({
      status: 404,
      body: 'unknown policy; known: default, open\n',
    });
  });

  test.each(['PUT', 'DELETE', 'OPTIONS', 'PATCH'])('is 405 for %s', async (method) => {
    expect(await send(undefined, JSON_TYPE, { method })).toMatchObject({
      status: 405,
      headers: { allow: 'GET, POST' },
    });
  });

  test('takes a client that goes away in the middle of its body for no error', async () => {
    const peer = connect(port, '127.0.0.1');
    await once(peer, 'connect');
    peer.write(
      'POST /override HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
    );
    peer.destroy();
    await once(peer, 'close');
    expect((await send(JSON.stringify(SET))).status).toBe(200);
    expect(errors).toEqual([]);
  });
});
