/** Tests deploy/envoy-hybrid.yaml: which requests Envoy verifies itself, and that it refuses all others without the service. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import { payClaim } from '../../src/approov/token-binding.ts';
import { RESULT_HEADER_ALIASES, RESULT_HEADERS } from '../../src/authz/result-header.ts';
import { countChecks } from '../support/admin-pages.ts';
import {
  type Answer,
  accessLogOf,
  eventually,
  linesWith,
  type Sample,
  type Sent,
  send,
  startSample,
  startUpstream,
  type Upstream,
} from '../support/envoy.ts';
import { HYBRID_ENVOY_CONFIG, withJwkSet, writeJwkSet } from '../support/hybrid.ts';
import { runInProcess } from '../support/in-process.ts';
import { type RunningService, startServe } from '../support/process.ts';
import { freshToken, mintToken, OTHER_SECRET, OTHER_SECRET_BYTES, SECRET } from '../support/token.ts';

const folder = mkdtempSync(join(tmpdir(), 'hybrid-'));
const JWK_SET = join(folder, 'jwk-set.json');
const CONFIG = join(folder, 'config.yaml');
writeFileSync(join(folder, 'plain'), SECRET);
writeFileSync(join(folder, 'named'), OTHER_SECRET);
writeFileSync(
  CONFIG,
  [
    `keys: [{id: plain, secretFile: ${folder}/plain}, {id: named, kid: k2, secretFile: ${folder}/named}]`,
    'policies:',
    '  default:',
    '    binding: {headers: [authorization], when: if-present}',
    '    forwardClaims: [did]',
    '    messageSignature: {install: when-ipk}',
    '  limited: {mode: limit}',
  ].join('\n'),
);

const now = (): number => Math.floor(Date.now() / 1000);
type HeaderLine = readonly [name: string, value: string];
const token = (value: string): HeaderLine => ['approov-token', value];

let upstream: Upstream;
let service: RunningService;
let envoy: RunningEnvoy;

function start(
  change: (sample: Sample) => void = () => undefined,
  services: readonly string[] = [service.grpc],
): Promise<RunningEnvoy> {
  return startSample(
    { services, upstream: upstream.address },
    (sample) => {
      withJwkSet(sample, JWK_SET);
      change(sample);
    },
    HYBRID_ENVOY_CONFIG,
  );
}

beforeAll(async () => {
  await writeJwkSet(JWK_SET, ['--config', CONFIG]);
  [upstream, service] = await Promise.all([startUpstream(), startServe({}, ['--config', CONFIG])]);
  envoy = await start();
});
afterAll(async () => {
  await envoy?.stop();
  await service?.kill();
  await upstream?.close();
  rmSync(folder, { recursive: true });
});

/** Sends a request, and counts how often the service was asked about it. */
async function sendCounted(sent: Sent, through = envoy): Promise<Answer & { readonly asked: number }> {
  const before = await countChecks(service.admin);
  const answer = await send(through, sent);
  return { ...answer, asked: (await countChecks(service.admin)) - before };
}

const NOT_ASKED = { status: 200, asked: 0 };
const VERIFIED = { 'x-approov-verdict': ['verified'], 'x-approov-action': ['allow'] };

describe('a request with a token that Envoy verifies', () => {
  test('never reaches the service, however often it comes', async () => {
    const sent = { path: '/hot', headers: [token(freshToken())] };
    const before = await countChecks(service.admin);
    for (let times = 0; times < 10; times++) expect((await send(envoy, sent)).status).toBe(200);
    expect((await countChecks(service.admin)) - before).toBe(0);
  });

  test('is verified by the cache of jwt_authn from the second time on, and counted in the statistics of Envoy', async () => {
    const read = async (): Promise<readonly (number | undefined)[]> => {
      const stats = await envoy.stats('^http.api.(jwt_authn|ext_authz|rbac)');
      return [
        stats['http.api.jwt_authn.jwt_cache_hit'],
        stats['http.api.ext_authz.disabled'],
        stats['http.api.rbac.approov_.shadow_allowed'],
      ];
    };
    const before = await read();
    const sent = { headers: [token(freshToken())] };
    for (let times = 0; times < 3; times++) await send(envoy, sent);
    expect((await read()).map((count = 0, index) => count - (before[index] ?? 0))).toEqual([2, 3, 3]);
  });

  test('reaches the upstream as if the service had been asked, with its token and the same result headers', async () => {
    const claims = { did: 'a-device', ip: '192.0.2.1', iss: 'approov.io', aud: ['x'] };
    const inProxy = await sendCounted({ headers: [token(freshToken(claims))] });
    // A binding that matches makes Envoy ask.
    const authorization: HeaderLine = ['authorization', 'Bearer alice'];
    const bound = freshToken({ ...claims, pay: payClaim(['Bearer alice']) });
    const asked = await sendCounted({ headers: [token(bound), authorization] });
    expect([inProxy.asked, asked.asked]).toEqual([0, 1]);
    expect(linesWith(asked.upstream, 'x-approov')).toEqual({ ...VERIFIED, 'x-approov-did': ['a-device'] });
    expect(linesWith(inProxy.upstream, 'x-approov')).toEqual(linesWith(asked.upstream, 'x-approov'));
    expect(linesWith(inProxy.upstream, 'approov-token')['approov-token']).toHaveLength(1);
  });

  test('is marked in the access log', async () => {
    await send(envoy, { path: '/in-proxy', headers: [token(freshToken())] });
    await send(envoy, { path: '/asked' });
    expect(await accessLogOf(envoy, '/in-proxy')).toMatchObject({
      approov_in_proxy: 'verified',
      approov_verdict: null,
    });
    expect(await accessLogOf(envoy, '/asked')).toMatchObject({
      approov_in_proxy: null,
      approov_verdict: 'unverified',
    });
  });

  test('has none of the result headers that the client forged, nor their aliases', async () => {
    const forged = [...RESULT_HEADERS, ...RESULT_HEADER_ALIASES, 'X-Approov-Did', 'x.approov_verdict'].map(
      (name): HeaderLine => [name, 'forged'],
    );
    const { upstream: seen, ...answer } = await sendCounted({ headers: [token(freshToken()), ...forged] });
    expect(answer).toMatchObject(NOT_ASKED);
    expect(linesWith(seen, 'pproov')).toEqual({ ...VERIFIED, 'approov-token': [expect.any(String)] });
  });

  test('gets no result headers on a route that is not checked', async () => {
    const { upstream: seen, ...answer } = await sendCounted({
      path: '/public/logo.png',
      headers: [token(freshToken({ did: 'a-device' }))],
    });
    expect(answer).toMatchObject(NOT_ASKED);
    expect(linesWith(seen, 'x-approov')).toEqual({});
  });

  test.each<[what: string, make: () => string]>([
    ['signed by the key with a kid', () => freshToken({}, signedByNamed({ kid: 'k2' }))],
    ['signed by the key with a kid, without naming it', () => freshToken({}, signedByNamed({}))],
    ['whose kid no key declares', () => freshToken({}, { header: { kid: 'unknown' } })],
  ])('may be %s, as the service allows as well', async (_, make) => {
    expect(await sendCounted({ headers: [token(make())] })).toMatchObject(NOT_ASKED);
    expect((await explained(make())).outcome).toBe('allowed');
  });

  test('may be signed by a key without a kid though another key declares its kid, which the service refuses', async () => {
    const headers = [token(freshToken({}, { header: { kid: 'k2' } }))];
    expect(await sendCounted({ headers })).toMatchObject(NOT_ASKED);
    const { outcome } = await explained(freshToken({}, { header: { kid: 'k2' } }));
    expect(outcome).toBe('refused');
  });
});

/** What the service would decide. */
async function explained(value: string): Promise<{ outcome: string }> {
  const args = ['--config', CONFIG, '--host', 'api.example.com', '--json', '--token', value];
  return JSON.parse((await runInProcess(['explain', ...args])).stdout) as { outcome: string };
}

function signedByNamed(header: Readonly<Record<string, unknown>>) {
  return { header, secret: OTHER_SECRET_BYTES };
}

describe('the service is asked about', () => {
  const bound = (): string => freshToken({ pay: payClaim(['Bearer alice']) });
  const forged = (): string => freshToken({}, { secret: Buffer.alloc(64, 'nobody') });

  test.each<[what: string, headers: () => readonly HeaderLine[], status: number, reason: string]>([
    ['a request without a token', () => [], 401, 'missing_approov_token'],
    ['an SDK status word', () => [token('NO_NETWORK')], 401, 'missing_approov_token'],
    ['a forged token', () => [token(forged())], 401, 'invalid_token_signature'],
    [
      'a token in authorization',
      () => [['authorization', `Bearer ${freshToken()}`]],
      401,
      'missing_approov_token',
    ],
    ['an expired token', () => [token(mintToken({ exp: now() - 60 }))], 401, 'token_expired'],
    ['a token without exp', () => [token(mintToken({ did: 'x' }))], 401, 'missing_expiry'],
    ['a token from the future', () => [token(freshToken({ nbf: now() + 60 }))], 401, 'token_not_yet_valid'],
    [
      'a token with an algorithm that no key allows',
      () => [token(freshToken({}, { header: { alg: 'HS512' } }))],
      401,
      'unsupported_token_algorithm',
    ],
    [
      'a good and a bad token line',
      () => [token(freshToken()), token(forged())],
      401,
      'duplicate_approov_token',
    ],
    [
      'a bad and a good token line',
      () => [token(forged()), token(freshToken())],
      401,
      'duplicate_approov_token',
    ],
    [
      'two good token lines',
      () => [token(freshToken()), token(freshToken())],
      401,
      'duplicate_approov_token',
    ],
    ['an empty and a good line', () => [token(''), token(freshToken())], 401, 'duplicate_approov_token'],
    ['tokens in one line', () => [token(`${freshToken()},${freshToken()}`)], 401, 'duplicate_approov_token'],
    ['a token with text after it', () => [token(`${freshToken()} x`)], 401, 'invalid_token_format'],
    ['a padded token', () => [token(`${freshToken()}=`)], 401, 'invalid_token_format'],
    ['a bound token in its session', () => [token(bound()), ['authorization', 'Bearer alice']], 200, 'ok'],
    [
      'a bound token in another session',
      () => [token(bound()), ['authorization', 'Bearer mallory']],
      401,
      'binding_mismatch',
    ],
    ['a token whose pay is null', () => [token(freshToken({ pay: null }))], 401, 'binding_mismatch'],
    [
      'a token with the key of an installation',
      () => [token(freshToken({ ipk: 'x' }))],
      401,
      'missing_message_signature',
    ],
    ['a token with a message signing key', () => [token(freshToken({ mskid: 'x' }))], 200, 'ok'],
  ])('%s', async (what, headers, status, reason) => {
    const path = `/${what.replaceAll(' ', '-')}`;
    expect(await sendCounted({ path, headers: headers() })).toMatchObject({ status, asked: 1 });
    expect(await accessLogOf(envoy, path)).toMatchObject({ approov_reason: reason });
  });

  test('names that look like those of the metadata, which no client can write', async () => {
    const names = [
      'approov_shadow_engine_result',
      'approov-payload',
      'x-jwt-payload',
      'x-envoy-auth-verified',
    ];
    const headers = names.map((name): HeaderLine => [name, 'allowed']);
    expect(await sendCounted({ headers })).toMatchObject({ status: 401, asked: 1 });
  });
});

test('a token that has just expired is accepted for the second of clock skew, and then refused by the service', async () => {
  const justExpired = await eventually(async () => {
    const expired = mintToken({ exp: now() });
    const { status, asked } = await sendCounted({ headers: [token(expired)] });
    return status === 200 && asked === 0 ? expired : undefined;
  });
  await eventually(async () => {
    const { status, asked } = await sendCounted({ headers: [token(justExpired)] });
    return (status === 401 && asked === 1) || undefined;
  });
  expect((await sendCounted({ headers: [token(justExpired)] })).status).toBe(401);
});

describe('the sample fails closed', () => {
  async function statuses(change?: (sample: Sample) => void, services?: readonly string[]) {
    const other = await start(change, services);
    try {
      const good = await sendCounted({ headers: [token(freshToken())] }, other);
      const bad = await sendCounted({}, other);
      const bound = freshToken({ pay: payClaim(['Bearer alice']) });
      const stolen = await sendCounted({ headers: [token(bound)] }, other);
      const both = await sendCounted({ headers: [token(freshToken()), token(freshToken())] }, other);
      return [good, bad, stolen, both].map(({ status, asked }) => `${status} asked ${asked}`);
    } finally {
      await other.stop();
    }
  }

  test('without the service, only what Envoy verifies itself is allowed', async () => {
    const nobody = ['127.0.0.1:9'];
    expect(await statuses(undefined, nobody)).toEqual([
      '200 asked 0',
      '503 asked 0',
      '503 asked 0',
      '503 asked 0',
    ]);
  });

  const ASKED = ['200 asked 1', '401 asked 1', '401 asked 1', '401 asked 1'];

  test('the service is asked about every token if the JWK Set has other keys', async () => {
    const other = join(folder, 'other.json');
    await writeJwkSet(other, [], { APPROOV_BASE64_SECRET: Buffer.alloc(64, 'other').toString('base64') });
    expect(await statuses((sample) => withJwkSet(sample, other))).toEqual(ASKED);
  });

  test.each(['jwt_authn', 'rbac'])(
    'the service is asked about every token if %s is missing',
    async (name) => {
      const drop = ({ connectionManager }: Sample): void => {
        const filters = connectionManager.get('http_filters') as unknown as {
          items: { get(key: string): unknown }[];
        };
        filters.items = filters.items.filter((item) => item.get('name') !== `envoy.filters.http.${name}`);
      };
      const dropRoute = ({ document }: Sample): void => {
        if (name !== 'jwt_authn') return;
        const route = ['route_config', 'virtual_hosts', 0, 'routes', 0, 'typed_per_filter_config'];
        const manager = [
          'static_resources',
          'listeners',
          0,
          'filter_chains',
          0,
          'filters',
          0,
          'typed_config',
        ];
        document.deleteIn([...manager, ...route, 'envoy.filters.http.jwt_authn']);
      };
      expect(
        await statuses((sample) => {
          drop(sample);
          dropRoute(sample);
        }),
      ).toEqual(ASKED);
    },
  );
});
