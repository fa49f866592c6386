/** Tests what a client can reach behind a real Envoy with envoy.yaml: valid and invalid tokens, forged result headers. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import { payClaim } from '../../src/approov/token-binding.ts';
import { RESULT_HEADER_ALIASES, RESULT_HEADERS } from '../../src/authz/result-header.ts';
import {
  accessLogOf,
  EXT_AUTHZ,
  linesWith,
  type Sample,
  type SeenRequest,
  type Sent,
  send,
  startSample,
  startSampleService,
  startUpstream,
  type Upstream,
} from '../support/envoy.ts';
import { type RunningService, startServe } from '../support/process.ts';
import { freshToken, OTHER_SECRET_BYTES, SECRET } from '../support/token.ts';

type HeaderLine = readonly [name: string, value: string];
const token = (value: string): HeaderLine => ['approov-token', value];

let upstream: Upstream;
let service: RunningService;

beforeAll(async () => {
  [upstream, service] = await Promise.all([startUpstream(), startSampleService()]);
});
afterAll(async () => {
  await service?.kill();
  await upstream?.close();
});

describe.each([{ encode_raw_headers: true }, { encode_raw_headers: false }])('with %o', (form) => {
  let envoy: RunningEnvoy;

  beforeAll(async () => {
    envoy = await startSample({ services: [service.grpc], upstream: upstream.address }, ({ httpFilter }) =>
      httpFilter(EXT_AUTHZ).set('encode_raw_headers', form.encode_raw_headers),
    );
  });
  afterAll(() => envoy?.stop());

  const REFUSED: readonly { name: string; headers: () => readonly HeaderLine[]; reason: string }[] = [
    { name: 'no token', headers: () => [], reason: 'missing_approov_token' },
    { name: 'an empty token', headers: () => [token('')], reason: 'missing_approov_token' },
    { name: 'an SDK status word', headers: () => [token('NO_NETWORK')], reason: 'missing_approov_token' },
    {
      name: 'two token lines',
      headers: () => [token(freshToken()), token(freshToken())],
      reason: 'duplicate_approov_token',
    },
    {
      name: 'the same token in two lines',
      headers: () => {
        const same = token(freshToken());
        return [same, same];
      },
      reason: 'duplicate_approov_token',
    },
    {
      name: 'two tokens in one line',
      headers: () => [token(`${freshToken()},${freshToken()}`)],
      reason: 'duplicate_approov_token',
    },
    { name: 'a,b', headers: () => [token('a,b')], reason: 'duplicate_approov_token' },
    {
      name: 'bytes that are not UTF-8',
      headers: () => [token(`${freshToken()}\xff\xfe`)],
      reason: 'invalid_token_format',
    },
    { name: '20 KiB', headers: () => [token('a1'.repeat(10 * 1024))], reason: 'invalid_token_format' },
    {
      name: 'a token signed with another secret',
      headers: () => [token(freshToken({}, { secret: OTHER_SECRET_BYTES }))],
      reason: 'invalid_token_signature',
    },
    { name: 'an expired token', headers: () => [token(freshToken({ exp: 1 }))], reason: 'token_expired' },
    {
      name: 'a token bound to another log-in',
      headers: () => [token(freshToken({ pay: payClaim(['Bearer a']) })), ['authorization', 'Bearer b']],
      reason: 'binding_mismatch',
    },
    {
      name: 'a token bound to an empty log-in, which is not there',
      headers: () => [token(freshToken({ pay: payClaim(['']) }))],
      reason: 'missing_binding_header',
    },
    {
      name: 'a word of an SDK that is newer than ours',
      headers: () => [token('ATTESTATION_PENDING')],
      reason: 'missing_approov_token',
    },
  ];

  test.each(REFUSED)('$name is refused as $reason and never reaches the upstream', async (row) => {
    const path = `/refused/${row.name.replaceAll(/\W/g, '-')}/${form.encode_raw_headers}`;
    const answer = await send(envoy, { path, headers: row.headers() });
    expect(answer).toMatchObject({
      status: 401,
      body: '{}',
      headers: {
        'content-type': 'application/json',
        'cache-control': 'no-store',
        'www-authenticate': 'Approov',
      },
    });
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('x-approov'))).toEqual([]);
    expect(upstream.seen.filter((seen) => seen.path === path)).toEqual([]);
    expect(await accessLogOf(envoy, path)).toMatchObject({
      status: 401,
      details: 'ext_authz_denied',
      approov_verdict: 'unverified',
      approov_action: 'deny',
      approov_reason: row.reason,
      approov_policy: 'default',
    });
  });

  test.each<{ name: string; headers: () => readonly HeaderLine[] }>([
    { name: 'a valid token', headers: () => [token(freshToken())] },
    {
      name: 'a token and the log-in that it is bound to',
      headers: () => [token(freshToken({ pay: payClaim(['Bearer a']) })), ['authorization', 'Bearer a']],
    },
    {
      name: 'a token and the empty log-in that it is bound to, as okhttp binds it',
      headers: () => [token(freshToken({ pay: payClaim(['']) })), ['authorization', '']],
    },
    {
      name: 'a token in a header of another case',
      headers: () => [['Approov-Token', freshToken()]],
    },
  ])('$name reaches the upstream, marked as verified', async ({ headers }) => {
    const sent = headers();
    const answer = await send(envoy, { headers: sent });
    expect(answer.status).toBe(200);
    expect(linesWith(answer.upstream, 'approov')).toEqual({
      'approov-token': [sent[0]?.[1]],
      'x-approov-verdict': ['verified'],
      'x-approov-action': ['allow'],
    });
  });

  test('Envoy finds none of these answers invalid', async () => {
    expect(await envoy.stats('^http\\.api\\.ext_authz\\.')).toMatchObject({
      'http.api.ext_authz.denied': REFUSED.length,
      'http.api.ext_authz.ok': 4,
      'http.api.ext_authz.error': 0,
      'http.api.ext_authz.invalid': 0,
      'http.api.ext_authz.failure_mode_allowed': 0,
    });
  });
});

test('a bound header that is not UTF-8 is verified by its bytes when Envoy sends raw headers', async () => {
  const envoy = await startSample({ services: [service.grpc], upstream: upstream.address });
  onTestFinished(() => envoy.stop());
  const bytes = Buffer.from('Bearer \xe9', 'latin1');
  const pay = createHash('sha256').update(bytes).digest('base64');
  const headers = [token(freshToken({ pay })), ['authorization', bytes.toString('latin1')]] as const;
  const { status } = await send(envoy, { headers });
  expect(status).toBe(200);
});

const FORGED = RESULT_HEADERS.map((name) => [name, 'forged'] as const);
const FORGED_ALIASES = RESULT_HEADER_ALIASES.flatMap((name) => [
  [name, 'forged'] as const,
  [name.toUpperCase(), 'again'] as const,
]);
const PREFLIGHT = [
  ['origin', 'https://elsewhere.example.com'],
  ['access-control-request-method', 'POST'],
] as const;
/** The result headers that reach the upstream, whatever the client sent, for each kind of allowed request. */
const LET_THROUGH: readonly { name: string; sent: () => Sent; seen: Readonly<Record<string, string>> }[] = [
  {
    name: 'a verified token, all claims forwarded',
    sent: () => ({
      path: '/claims',
      headers: [token(freshToken({ did: 'd', ip: '1.2.3.4', arc: 'A', iss: 'i', aud: 'a', sub: 's' }))],
    }),
    seen: {
      verdict: 'verified',
      action: 'allow',
      did: 'd',
      ip: '1.2.3.4',
      arc: 'A',
      iss: 'i',
      aud: 'a',
      sub: 's',
    },
  },
  {
    name: 'a verified token without the claims',
    sent: () => ({ path: '/claims', headers: [token(freshToken())] }),
    seen: { verdict: 'verified', action: 'allow' },
  },
  {
    name: 'unverified under limit',
    sent: () => ({ path: '/search' }),
    seen: { verdict: 'unverified', action: 'limit', reason: 'missing_approov_token' },
  },
  {
    name: 'unverified under observe, with a forged token',
    sent: () => ({
      path: '/observe',
      headers: [token(freshToken({ did: 'd' }, { secret: OTHER_SECRET_BYTES }))],
    }),
    seen: { verdict: 'unverified', action: 'allow', reason: 'invalid_token_signature' },
  },
  {
    name: 'a policy that is off',
    sent: () => ({ path: '/off' }),
    seen: { verdict: 'skipped', action: 'allow', reason: 'policy_off' },
  },
  {
    name: 'a CORS preflight',
    sent: () => ({ method: 'OPTIONS', headers: PREFLIGHT }),
    seen: { verdict: 'skipped', action: 'allow', reason: 'cors_preflight' },
  },
];

/** The header lines that WSGI and CGI, which turn names into variables, would read as ours. */
function resultLinesOf(seen: SeenRequest | undefined): Record<string, string[]> {
  const lines = Object.entries(linesWith(seen, 'approov'));
  return Object.fromEntries(lines.filter(([name]) => /^x[_-]approov/.test(name)));
}

/** The policies of the sample, and one of each mode that it lacks. */
const EVERY_MODE = `
policies:
  default: {forwardClaims: []}
  claims: {forwardClaims: [did, ip, arc, iss, aud, sub]}
  limited: {mode: limit}
  watched: {mode: observe, forwardClaims: [did]}
  open: {mode: "off"}
  web:
    denied:
      status: 403
      headers: {Retry-After: "30", Access-Control-Allow-Origin: "https://app.example.com", Vary: Origin}
routes:
  - {pathPrefix: /web, policy: web}
  - {pathPrefix: /claims, policy: claims}
  - {pathPrefix: /observe, policy: watched}
  - {pathPrefix: /off, policy: open}
`;

describe.each([
  { name: 'envoy.yaml', change: () => undefined },
  {
    name: 'envoy.yaml without its own removal of forged headers',
    change: (sample: Sample) => void sample.connectionManager.delete('early_header_mutation_extensions'),
  },
  {
    name: 'envoy.yaml with the default rules on what the service may change',
    change: (sample: Sample) => {
      sample.connectionManager.delete('early_header_mutation_extensions');
      sample.httpFilter(EXT_AUTHZ).set('decoder_header_mutation_rules', {});
    },
  },
  {
    name: 'envoy.yaml with underscores allowed, and every header sent to the service',
    change: (sample: Sample) => {
      sample.connectionManager.delete('early_header_mutation_extensions');
      sample.connectionManager.setIn(
        ['common_http_protocol_options', 'headers_with_underscores_action'],
        'ALLOW',
      );
      sample.httpFilter(EXT_AUTHZ).delete('allowed_headers');
    },
  },
])('under $name', ({ change }) => {
  const folder = mkdtempSync(join(tmpdir(), 'every-mode-'));
  let everyMode: RunningService;
  let envoy: RunningEnvoy;

  beforeAll(async () => {
    const file = join(folder, 'config.yaml');
    writeFileSync(file, EVERY_MODE);
    everyMode = await startServe({ APPROOV_BASE64_SECRET: SECRET }, ['--config', file]);
    envoy = await startSample({ services: [everyMode.grpc], upstream: upstream.address }, change);
  });
  afterAll(async () => {
    await envoy?.stop();
    await everyMode?.kill();
    rmSync(folder, { recursive: true });
  });

  describe.each(LET_THROUGH)('$name', ({ sent, seen }) => {
    const expected = Object.fromEntries(
      Object.entries(seen).map(([name, value]) => [`x-approov-${name}`, [value]]),
    );

    test.each([
      { forgery: 'none', forged: [] },
      { forgery: 'once', forged: FORGED },
      { forgery: 'twice', forged: [...FORGED, ...FORGED] },
      { forgery: 'in every spelling with underscores', forged: [...FORGED, ...FORGED_ALIASES] },
    ])('reaches the upstream with our headers only, forged $forgery', async ({ forged }) => {
      const { headers = [], ...request } = sent();
      const answer = await send(envoy, { ...request, headers: [...forged, ...headers] });
      expect(answer.status).toBe(200);
      expect(resultLinesOf(answer.upstream)).toEqual(expected);
    });
  });

  test('a denied response has the headers of its own policy only', async () => {
    const refused = await send(envoy, { path: '/web/orders' });
    expect(refused).toMatchObject({
      status: 403,
      body: '{}',
      headers: {
        'retry-after': '30',
        'access-control-allow-origin': 'https://app.example.com',
        vary: 'Origin',
        'content-type': 'application/json',
        'cache-control': 'no-store',
      },
    });
    const other = await send(envoy, { path: '/orders' });
    expect([other.status, other.headers['retry-after']]).toEqual([401, undefined]);
  });

  test('Envoy finds every answer valid', async () => {
    expect(await envoy.stats('^http\\.api\\.ext_authz\\.')).toMatchObject({
      'http.api.ext_authz.ok': LET_THROUGH.length * 4,
      'http.api.ext_authz.error': 0,
      'http.api.ext_authz.invalid': 0,
    });
  });
});
