/** Tests that signed requests verify as the client sent them through a real Envoy, and that changed ones do not. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import {
  EXT_AUTHZ,
  type Sample,
  startSample,
  startUpstream,
  type Upstream,
  withSample,
} from '../support/envoy.ts';
import { ACCOUNT_SECRET, CLAIMS, MSKID } from '../support/message-signature.ts';
import { type RunningService, startServe } from '../support/process.ts';
import { signHeaders } from '../support/signed-check.ts';
import { freshToken, SECRET } from '../support/token.ts';

const folder = mkdtempSync(join(tmpdir(), 'envoy-signatures-'));
let upstream: Upstream;
let service: RunningService;

beforeAll(async () => {
  writeFileSync(join(folder, 'secret'), SECRET);
  writeFileSync(join(folder, 'account'), ACCOUNT_SECRET.toString('base64'));
  writeFileSync(
    join(folder, 'config.yaml'),
    `keys: [{id: current, secretFile: ${folder}/secret}]
messageSigningKeys: [{id: account, mskid: ${MSKID}, secretFile: ${folder}/account}]
denied: {exposeReason: true}
policies:
  default: {messageSignature: {account: when-mskid, contentDigest: required}}
  search: {mode: off}
`,
  );
  [upstream, service] = await Promise.all([
    startUpstream(),
    startServe({}, ['--config', join(folder, 'config.yaml')]),
  ]);
});
afterAll(async () => {
  await service?.kill();
  await upstream?.close();
  rmSync(folder, { recursive: true });
});

function addresses() {
  return { services: [service.grpc], upstream: upstream.address };
}

/** Envoy sends every header, and bodies. */
function withBodies({ httpFilter }: Sample, body: object = {}): void {
  const filter = httpFilter(EXT_AUTHZ);
  filter.delete('allowed_headers');
  filter.set('with_request_body', {
    max_request_bytes: 65_536,
    allow_partial_message: false,
    pack_as_bytes: true,
    ...body,
  });
}

interface Sent {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** `200`, or the reason for which the request was refused. */
type Send = (envoy: RunningEnvoy, sent: Sent) => Promise<string>;

function outcomeOf(status: number, reason: string | undefined): string {
  return status === 200 ? '200' : (reason ?? `status ${status}`);
}

const sendHttp1: Send = async (envoy, { method, host, path, headers, body }) => {
  const request = httpRequest({
    host: '127.0.0.1',
    port: envoy.port('api'),
    method,
    path,
    // Node frames a body of a GET only if its length is stated.
    headers: { ...headers, host, ...(body.length === 0 ? {} : { 'content-length': body.length }) },
    agent: false,
  });
  request.end(body);
  const [response] = await once(request, 'response');
  await text(response);
  return outcomeOf(response.statusCode, response.headers['x-approov-reason']);
};

const sendHttp2: Send = async (envoy, { method, host, path, headers, body }) => {
  const session = connectHttp2(`http://127.0.0.1:${envoy.port('api')}`);
  try {
    const call = session.request(
      { ...headers, ':method': method, ':path': path, ':authority': host },
      { endStream: body.length === 0 },
    );
    if (body.length > 0) call.end(body);
    const [response] = await once(call, 'response');
    call.resume();
    await once(call, 'close');
    return outcomeOf(response[':status'], response['x-approov-reason']);
  } finally {
    session.destroy();
  }
};

const NO_BODY = Buffer.alloc(0);

/** Signed now by both keys, over the body's digest too if there is one. */
function signed(
  fields: Partial<Omit<Sent, 'headers'>>,
  covered: Readonly<Record<string, string>> = {},
): Sent {
  const { method = 'GET', host = 'api.example.com', path = '/v1/orders', body = NO_BODY } = fields;
  const digest = `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
  const headers = signHeaders({
    method,
    host,
    path,
    token: freshToken(CLAIMS),
    created: Math.floor(Date.now() / 1000),
    labels: ['install', 'account'],
    headers: { ...covered, ...(body.length === 0 ? {} : { 'content-digest': digest }) },
  });
  return { method, host, path, body, headers };
}

const BINARY = Buffer.from(Array.from({ length: 2000 }, (_, index) => index % 256));
const CASES: readonly (readonly [name: string, request: Partial<Sent>])[] = [
  ['a plain path', {}],
  ['the root', { path: '/' }],
  ['a trailing slash', { path: '/v1/orders/' }],
  ['a query', { path: '/v1/orders?a=1&b=%20&b=+&c' }],
  ['an empty query', { path: '/v1/orders?' }],
  ['percent-encoding in both cases', { path: '/v1/caf%C3%A9/%e2%82%ac' }],
  ['characters that need none', { path: "/v1/a-b_c~d!$&'()*+,=:@" }],
  ['a port', { host: 'api.example.com:8443' }],
  ['the default port', { host: 'api.example.com:443' }],
  ['a host in upper case', { host: 'API.Example.com' }],
  ['an IPv4 address', { host: '192.0.2.7:8443' }],
  ['an IPv6 address', { host: '[2001:db8::7]:8443' }],
  ['a JSON body', { method: 'POST', body: Buffer.from('{"amount":1}') }],
  ['a body that is not text', { method: 'PUT', body: BINARY }],
  ['a large body', { method: 'POST', body: Buffer.alloc(60_000, 'a') }],
];

describe.each([
  ['HTTP/1.1', sendHttp1],
  ['HTTP/2', sendHttp2],
])('over %s, a request', (_protocol, send) => {
  let envoy: RunningEnvoy;
  beforeAll(async () => {
    envoy = await startSample(addresses(), withBodies);
  });
  afterAll(() => envoy?.stop());

  test.each(CASES)(
    'with %s passes as it was signed, and not with another path or body',
    async (_name, fields) => {
      const request = signed(fields);
      const [path = '', query] = request.path.split('?');
      const changed = `${path}x${query === undefined ? '' : `?${query}`}`;
      expect(await send(envoy, request)).toBe('200');
      expect(await send(envoy, { ...request, path: changed })).toBe('invalid_message_signature');
      const body = Buffer.concat([request.body, Buffer.of(1)]);
      const reason = request.body.length === 0 ? 'missing_signed_components' : 'content_digest_mismatch';
      expect(await send(envoy, { ...request, body })).toBe(reason);
    },
  );

  test('passes with signed headers of its own, and not with another value', async () => {
    const request = signed({}, { 'x-device': 'a, b', authorization: 'Bearer abc' });
    expect(await send(envoy, request)).toBe('200');
    const changed = { ...request, headers: { ...request.headers, 'x-device': 'a,b' } };
    expect(await send(envoy, changed)).toBe('invalid_message_signature');
  });

  test('is refused without its signatures', async () => {
    const request = signed({});
    const { signature: _, 'signature-input': __, ...headers } = request.headers;
    expect(await send(envoy, { ...request, headers })).toBe('missing_message_signature');
  });

  test.each([
    ['a header that says that the body is complete', { 'x-envoy-auth-partial-body': 'false' }],
    ['a header that says that it is not', { 'x-envoy-auth-partial-body': 'true' }],
  ])('with %s, which only Envoy may send, is judged by its body', async (_name, forged) => {
    const request = signed({ method: 'POST', body: Buffer.from('{"amount":1}') });
    const headers = { ...request.headers, ...forged };
    expect(await send(envoy, { ...request, headers })).toBe('200');
    const body = Buffer.from('{"amount":2}');
    expect(await send(envoy, { ...request, headers, body })).toBe('content_digest_mismatch');
  });
});

test('a body of which Envoy sends only the beginning never passes, though the beginning has the digest', async () => {
  const partial = { max_request_bytes: 12, allow_partial_message: true };
  await withSample(
    addresses(),
    (sample) => withBodies(sample, partial),
    async (envoy) => {
      const whole = signed({ method: 'POST', body: Buffer.from('{"amount":1}') });
      const more = { ...whole, body: Buffer.from('{"amount":1}, and more') };
      expect(await sendHttp1(envoy, whole)).toBe('200');
      expect(await sendHttp1(envoy, more)).toBe('content_digest_mismatch');
    },
  );
});
