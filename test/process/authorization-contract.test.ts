/** Tests the contract with Envoy: the real service, a real gRPC client. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type CheckClient,
  createCheckClient,
  metadataOf,
  type RequestJson,
  type ResponseJson,
  requestWith,
} from '../support/grpc-client.ts';
import { type RunningService, startServe } from '../support/process.ts';
import { freshToken, mintToken, OTHER_SECRET_BYTES, SECRET } from '../support/token.ts';

const CONFIG = `
keys: [{id: current, secretFile: current}]
policies:
  observe: {mode: observe, forwardClaims: [did]}
  limit: {mode: limit, forwardToken: false}
  open: {mode: off, forwardToken: false}
  no-forward: {forwardToken: false, forwardClaims: [did, ip, arc, iss, aud, sub]}
  bound: {binding: {headers: [authorization]}}
  bearer: {tokenHeader: authorization, tokenPrefix: "Bearer ", forwardToken: false}
`;
const folder = mkdtempSync(join(tmpdir(), 'contract-'));
let service: RunningService;
let client: CheckClient;

beforeAll(async () => {
  writeFileSync(join(folder, 'current'), SECRET);
  writeFileSync(join(folder, 'config.yaml'), CONFIG.replaceAll('secretFile: ', `secretFile: ${folder}/`));
  service = await startServe({}, ['--config', join(folder, 'config.yaml')]);
  client = createCheckClient(service.grpc);
});

afterAll(async () => {
  client.close();
  await service.kill();
  rmSync(folder, { recursive: true });
});

type Headers = Readonly<Record<string, string>>;

function ask(
  headers: Headers,
  policy?: string,
  http: Readonly<Record<string, unknown>> = {},
): Promise<ResponseJson> {
  return client.check(under(policy, requestWith(headers, http)));
}

/** A request from a route whose `context_extensions` name a policy. */
function under(policy: string | undefined, request: RequestJson): RequestJson {
  if (policy === undefined) return request;
  return {
    attributes: { ...(request['attributes'] as object), context_extensions: { approov_policy: policy } },
  };
}

function token(claims: Readonly<Record<string, unknown>> = {}): Headers {
  return { 'approov-token': freshToken(claims) };
}

/** The headers of a response by name; each must say in both ways that it overwrites. */
function headersOf(response: ResponseJson): Headers {
  const options = (response.ok_response ?? response.denied_response)?.headers ?? [];
  for (const { append, append_action } of options) {
    // Present and false: some versions of Envoy would append if it were absent.
    expect(append ?? 'absent').not.toBe('absent');
    expect([append?.value ?? false, append_action]).toEqual([false, 'OVERWRITE_IF_EXISTS_OR_ADD']);
  }
  const entries = options.map(({ header }) => [header.key, header.value]);
  expect(new Set(entries.map(([name]) => name)).size).toBe(entries.length);
  return Object.fromEntries(entries);
}

function payFor(...values: readonly (string | Buffer)[]): string {
  return values.reduce((hash, value) => hash.update(value), createHash('sha256')).digest('base64');
}

const PREFLIGHT = { origin: 'https://app.example.com', 'access-control-request-method': 'GET' };
const UNVERIFIED = { 'approov-token': mintToken({ exp: 1_000_000_000, did: 'd' }) };

describe('a denial', () => {
  test('has exactly the promised status, body and headers', async () => {
    const response = await ask({});
    expect(response.denied_response).toMatchObject({ status: { code: 401 }, body: '{}' });
    expect(headersOf(response)).toEqual({
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'www-authenticate': 'Approov',
    });
  });

  test('for internal_error is a 503 denied_response without www-authenticate', async () => {
    const response = await client.checkBytes(Buffer.from([0xff]));
    expect(response.denied_response).toMatchObject({ status: { code: 503 }, body: '{}' });
    expect(headersOf(response)).toEqual({ 'content-type': 'application/json', 'cache-control': 'no-store' });
    expect(metadataOf(response)).toEqual({
      approov_verdict: 'unverified',
      approov_action: 'deny',
      approov_reason: 'internal_error',
      approov_policy: 'unknown',
      approov_mode: 'unknown',
    });
  });

  test('is as configured, with the reason for the client only under exposeReason', async () => {
    writeFileSync(
      join(folder, 'denied.yaml'),
      'denied: {status: 403, body: "nö", contentType: text/plain; charset=utf-8, exposeReason: true}',
    );
    const other = await startServe({ APPROOV_BASE64_SECRET: SECRET }, [
      '--config',
      join(folder, 'denied.yaml'),
    ]);
    const otherClient = createCheckClient(other.grpc);
    try {
      const denied = await otherClient.check(requestWith({}));
      expect(denied.status?.code).toBe(16);
      expect(denied.denied_response).toMatchObject({ status: { code: 403 }, body: 'nö' });
      expect(headersOf(denied)).toEqual({
        'content-type': 'text/plain; charset=utf-8',
        'cache-control': 'no-store',
        'x-approov-reason': 'missing_approov_token',
      });
      const fault = await otherClient.checkBytes(Buffer.from([0xff]));
      expect(fault.denied_response).toMatchObject({ status: { code: 503 }, body: 'nö' });
      expect(headersOf(fault)['x-approov-reason']).toBe('internal_error');
    } finally {
      otherClient.close();
      await other.kill();
    }
  });
});

const NINE_NAMES = ['verdict', 'action', 'reason', 'did', 'ip', 'arc', 'iss', 'aud', 'sub'].map(
  (name) => `x-approov-${name}`,
);

/** Checks that each of our nine headers is set or removed, and returns what else is removed. */
function removedExceptOurs(response: ResponseJson): readonly string[] {
  const set = Object.keys(headersOf(response));
  const removed = response.ok_response?.headers_to_remove ?? [];
  expect([...set, ...removed.filter((name) => NINE_NAMES.includes(name))].sort()).toEqual(
    [...NINE_NAMES].sort(),
  );
  return removed.filter((name) => !NINE_NAMES.includes(name));
}

describe('an allowed request', () => {
  test.each<[name: string, policy: string | undefined, Headers, http: object, removed: string[]]>([
    ['verified', undefined, token(), {}, []],
    ['unverified under observe', 'observe', {}, {}, []],
    ['limited', 'limit', {}, {}, ['approov-token']],
    ['verified under limit', 'limit', token(), {}, ['approov-token']],
    ['under off', 'open', {}, {}, ['approov-token']],
    ['as preflight', 'no-forward', PREFLIGHT, { method: 'OPTIONS' }, ['approov-token']],
    [
      'with its token in another header',
      'bearer',
      { authorization: `Bearer ${freshToken()}` },
      {},
      ['authorization'],
    ],
  ])(
    '%s has each of our nine headers set or removed, and its token removed under forwardToken: false',
    async (_name, policy, headers, http, removed) => {
      expect(removedExceptOurs(await ask(headers, policy, { ...http }))).toEqual(removed);
    },
  );

  test('has the claims that the policy forwards', async () => {
    const claims = {
      did: 'D==',
      ip: '192.0.2.7',
      arc: 'ABC',
      iss: 'approov.io',
      aud: 'x',
      sub: '~'.repeat(1024),
    };
    const response = await ask(token(claims), 'no-forward');
    expect(headersOf(response)).toEqual({
      'x-approov-verdict': 'verified',
      'x-approov-action': 'allow',
      ...Object.fromEntries(Object.entries(claims).map(([name, value]) => [`x-approov-${name}`, value])),
    });
    expect(removedExceptOurs(response)).toEqual(['approov-token']);
  });

  test('has no claim that is not a string of 1 to 1024 visible ASCII characters', async () => {
    const claims = { did: '', ip: 'a b', arc: 'x'.repeat(1025), iss: 'é', aud: ['x'], sub: 'a\r\nx-evil: 1' };
    expect(headersOf(await ask(token(claims), 'no-forward'))).toEqual({
      'x-approov-verdict': 'verified',
      'x-approov-action': 'allow',
    });
  });

  test('has no claim if none is configured, or if a later step failed', async () => {
    expect(Object.keys(headersOf(await ask(token({ did: 'd' }))))).toEqual([
      'x-approov-verdict',
      'x-approov-action',
    ]);
    expect(headersOf(await ask(UNVERIFIED, 'observe'))).not.toHaveProperty('x-approov-did');
    expect(headersOf(await ask(token({ did: 'd' }), 'observe'))).toHaveProperty('x-approov-did', 'd');
  });
});

describe('dynamic metadata', () => {
  test('has the key id once the signature is verified, and the device id only if the check is', async () => {
    expect(metadataOf(await ask(token({ did: 'Ünïcode' })))).toEqual({
      approov_verdict: 'verified',
      approov_action: 'allow',
      approov_reason: 'ok',
      approov_policy: 'default',
      approov_mode: 'enforce',
      approov_key_id: 'current',
      approov_did: 'Ünïcode',
    });
    expect(metadataOf(await ask(UNVERIFIED))).toEqual({
      approov_verdict: 'unverified',
      approov_action: 'deny',
      approov_reason: 'token_expired',
      approov_policy: 'default',
      approov_mode: 'enforce',
      approov_key_id: 'current',
    });
    const forged = { 'approov-token': freshToken({ did: 'd' }, { secret: OTHER_SECRET_BYTES }) };
    expect(Object.keys(metadataOf(await ask(forged)))).not.toContain('approov_key_id');
    expect(metadataOf(await ask({}, 'limit'))).toMatchObject({
      approov_policy: 'limit',
      approov_action: 'limit',
    });
  });
});

describe('a request', () => {
  const rawRequest = (
    lines: readonly (readonly [string, string | Buffer])[],
    policy?: string,
  ): RequestJson => {
    const headers = lines.map(([key, value]) => ({ key, raw_value: Buffer.from(value) }));
    return under(policy, { attributes: { request: { http: { header_map: { headers } } } } });
  };
  const reasonFor = async (request: RequestJson): Promise<unknown> =>
    metadataOf(await client.check(request))['approov_reason'];

  test('may use header_map: binding hashes its raw bytes, and each entry is an occurrence', async () => {
    const value = Buffer.from([0x42, 0xff, 0xfe, 0x20, 0xc3]);
    const bound = freshToken({ pay: payFor(value) });
    expect(
      await reasonFor(
        rawRequest(
          [
            ['Approov-Token', bound],
            ['authorization', value],
          ],
          'bound',
        ),
      ),
    ).toBe('ok');
    const other = Buffer.from([0x42, 0xff, 0xff, 0x20, 0xc3]);
    expect(
      await reasonFor(
        rawRequest(
          [
            ['approov-token', bound],
            ['authorization', other],
          ],
          'bound',
        ),
      ),
    ).toBe('binding_mismatch');
    const twice: [string, Buffer][] = [
      ['authorization', value],
      ['authorization', value],
    ];
    expect(await reasonFor(rawRequest([['approov-token', bound], ...twice], 'bound'))).toBe(
      'missing_binding_header',
    );
    expect(
      await reasonFor(
        rawRequest([
          ['approov-token', bound],
          ['approov-token', bound],
        ]),
      ),
    ).toBe('duplicate_approov_token');
  });

  test('with a token in headers and in header_map has a duplicate token', async () => {
    const headers = [{ key: 'approov-token', raw_value: Buffer.from(freshToken()) }];
    expect(await reasonFor(requestWith(token(), { header_map: { headers } }))).toBe(
      'duplicate_approov_token',
    );
  });

  test.each<[name: string, request: RequestJson]>([
    ['attributes', {}],
    ['request', { attributes: {} }],
    ['http', { attributes: { request: {} } }],
    ['every field of http', { attributes: { request: { http: {} } } }],
    ['header_map entries', { attributes: { request: { http: { header_map: {} } } } }],
  ])('without %s is missing_approov_token', async (_name, request) => {
    expect(await reasonFor(request)).toBe('missing_approov_token');
  });

  test.each(['method', 'path', 'host'])('without %s is still decided', async (field) => {
    expect(metadataOf(await ask(token(), undefined, { [field]: '' }))['approov_reason']).toBe('ok');
  });
});
