/** Tests every reason, and the action by mode and verdict: the real service, a real gRPC client. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { REASON_NAMES, type Reason } from '../../src/authz/reason.ts';
import {
  type CheckClient,
  createCheckClient,
  metadataOf,
  type RequestJson,
  requestWith,
} from '../support/grpc-client.ts';
import { ACCOUNT_SECRET, CLAIMS } from '../support/message-signature.ts';
import { type RunningService, startServe } from '../support/process.ts';
import { signHeaders } from '../support/signed-check.ts';
import {
  base64url,
  freshToken,
  mintToken,
  OTHER_SECRET,
  OTHER_SECRET_BYTES,
  SECRET,
} from '../support/token.ts';

const CONFIG = `
keys:
  - {id: current, kid: k1, secretFile: current}
  - {id: next, kid: k2, secretFile: next, algorithms: [HS512]}
messageSigningKeys: [{id: account, mskid: j3AWy6, secretFile: account}]
policies:
  default: {}
  observe: {mode: observe}
  limit: {mode: limit}
  open: {mode: off}
  no-preflight: {allowCorsPreflight: false}
  bound: {binding: {headers: [authorization]}}
  bound-always: {binding: {headers: [authorization, x-session], when: required}}
  claims: {issuer: [approov.io], audience: host}
  signed: {messageSignature: {}}
  signed-by-both: {messageSignature: {account: when-mskid}}
  signed-device: {messageSignature: {requiredComponents: ["@method", "@path", x-device]}}
  signed-once: {messageSignature: {replay: per-instance}}
  bearer: {tokenHeader: authorization, tokenPrefix: "Bearer "}
routes:
  - {host: "*.open.example.com", pathPrefix: /health, methods: [GET], policy: open}
`;
const folder = mkdtempSync(join(tmpdir(), 'reasons-'));
let service: RunningService;
let client: CheckClient;

beforeAll(async () => {
  writeFileSync(join(folder, 'current'), SECRET);
  writeFileSync(join(folder, 'next'), OTHER_SECRET);
  writeFileSync(join(folder, 'account'), ACCOUNT_SECRET.toString('base64url'));
  const config = CONFIG.replaceAll('secretFile: ', `secretFile: ${folder}/`);
  writeFileSync(join(folder, 'config.yaml'), config);
  service = await startServe({}, ['--config', join(folder, 'config.yaml')]);
  client = createCheckClient(service.grpc);
});

afterAll(async () => {
  client.close();
  await service.kill();
  rmSync(folder, { recursive: true });
});

type Headers = Readonly<Record<string, string>>;

interface Case {
  readonly name: string;
  /** A Buffer is a raw message. */
  readonly headers: Headers | Buffer;
  readonly http?: Readonly<Record<string, unknown>>;
  /** As `context_extensions` of Envoy's route would name it. */
  readonly policy?: string;
  /** The second request decides. */
  readonly isRepeated?: true;
  /** What is different about it. */
  readonly repeatedHttp?: Readonly<Record<string, unknown>>;
}

function token(
  claims: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
): Headers {
  return { 'approov-token': freshToken(claims, { header }) };
}

function payFor(...values: readonly string[]): string {
  return values.reduce((hash, value) => hash.update(value), createHash('sha256')).digest('base64');
}

function digestOf(body: string): string {
  return `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
}

async function answerTo({ headers, http = {}, policy }: Case) {
  if (Buffer.isBuffer(headers)) return client.checkBytes(headers);
  const { attributes } = requestWith(headers as Headers, http) as { attributes: RequestJson };
  const named = policy === undefined ? {} : { context_extensions: { approov_policy: policy } };
  return client.check({ attributes: { ...attributes, ...named } });
}

const PREFLIGHT = {
  headers: { origin: 'https://app.example.com', 'access-control-request-method': 'GET' },
  http: { method: 'OPTIONS' },
};
const EXPIRED = { exp: 1_000_000_000 };
const JWS = `${base64url('{"alg":"HS256"}')}.${base64url('{"exp":9999999999}')}`;
const JWE = `${base64url('{"alg":"dir"}')}..AAAA.AAAA.AAAA`;
const FORGED = mintToken(EXPIRED, { secret: OTHER_SECRET_BYTES });
const OF_NEXT = freshToken({}, { header: { kid: 'k2', alg: 'HS512' }, secret: OTHER_SECRET_BYTES });

/** As of now, since the service has its own clock. */
function signed(request: Parameters<typeof signHeaders>[0] = {}): Headers {
  const created = Math.floor(Date.now() / 1000);
  return signHeaders({ token: freshToken(CLAIMS), created, ...request });
}

const bearing = (text: string): Headers => ({ 'approov-token': text });

const CASES: Readonly<Record<Reason, readonly Case[]>> = {
  ok: [
    { name: 'a valid token', headers: token() },
    { name: 'a token of another key, by its kid', headers: bearing(OF_NEXT) },
    { name: 'the same token, from the cache', headers: bearing(OF_NEXT) },
    {
      name: 'a bound token with its header',
      policy: 'bound',
      headers: { ...token({ pay: payFor('Bearer abc') }), authorization: ' Bearer abc\t' },
    },
    { name: 'a token without pay under if-present', policy: 'bound', headers: token() },
    {
      name: 'a token bound to two headers',
      policy: 'bound-always',
      headers: { ...token({ pay: payFor('a', 'b') }), authorization: 'a', 'x-session': 'b' },
    },
    {
      name: 'issuer and audience as configured',
      policy: 'claims',
      headers: token({ iss: 'approov.io', aud: ['x', 'api.example.com'] }),
      http: { host: 'API.example.com.:8443' },
    },
    {
      name: 'a token with a prefix',
      policy: 'bearer',
      headers: { authorization: `bearer ${freshToken()}` },
    },
    { name: 'a signed request', policy: 'signed', headers: signed() },
    {
      name: 'a request with both signatures, a query and a port',
      policy: 'signed-by-both',
      headers: signed({ labels: ['install', 'account'], host: 'api.example.com:8443', path: '/a?b=%20' }),
      http: { host: 'api.example.com:8443', path: '/a?b=%20' },
    },
    {
      name: 'a signed header that only this app sends',
      policy: 'signed',
      headers: signed({ headers: { 'x-only-here': 'a, 1' } }),
    },
    {
      name: 'a retry of a signed request, as Envoy’s id says',
      policy: 'signed-once',
      headers: signed(),
      http: { id: '3' },
      repeatedHttp: { id: '3' },
      isRepeated: true,
    },
    {
      name: 'an unsigned request with a token that requires no signature',
      policy: 'signed',
      headers: token(),
    },
  ],
  policy_off: [
    { name: 'a policy that is off', policy: 'open', headers: {} },
    {
      name: 'a route to a policy that is off',
      headers: {},
      http: { host: 'a.b.open.example.com:80', path: '/health/x?y' },
    },
  ],
  cors_preflight: [{ name: 'a preflight', ...PREFLIGHT }],
  unknown_policy: [
    { name: 'a policy that is not configured', policy: 'unconfigured', headers: token() },
    { name: 'an empty policy name', policy: '', headers: token() },
    {
      name: 'a policy that is not configured and an ambiguous path',
      policy: 'unconfigured',
      headers: token(),
      http: { path: '/a;b' },
    },
  ],
  missing_approov_token: [
    { name: 'no header', headers: {} },
    { name: 'a blank header', headers: bearing(' ') },
    { name: 'a status word', headers: bearing('No_Network') },
    { name: 'a preflight under a policy that does not allow it', policy: 'no-preflight', ...PREFLIGHT },
    {
      name: 'an ambiguous path of an open route',
      headers: {},
      http: { host: 'a.open.example.com', path: '/health/../x' },
    },
    {
      name: 'an ambiguous path for which Envoy named an open policy',
      policy: 'open',
      headers: {},
      http: { path: '/search/%2e%2e;/orders' },
    },
  ],
  duplicate_approov_token: [
    { name: 'two tokens joined', headers: bearing(`${freshToken()},${freshToken()}`) },
  ],
  invalid_token_format: [
    { name: 'a text that is not a JWT', headers: bearing('abc1') },
    { name: 'over 8 KiB', headers: bearing(`${JWS}.${'A'.repeat(8192)}`) },
    { name: 'bytes that are not ASCII', headers: bearing(`${JWS}.é`) },
    { name: 'an empty signature', headers: bearing(`${JWS}.`) },
    { name: 'a signed payload that is not an object', headers: bearing(mintToken([1])) },
  ],
  unsupported_token_algorithm: [
    { name: 'alg none', headers: bearing(`${base64url('{"alg":"none"}')}.${base64url('{}')}.`) },
    { name: 'crit', headers: token({}, { crit: ['exp'] }) },
    { name: 'an alg that its key does not allow', headers: token({}, { kid: 'k1', alg: 'HS512' }) },
    { name: 'five parts', headers: bearing(JWE) },
  ],
  unknown_key_id: [{ name: 'a kid that no key has', headers: token({}, { kid: 'k3' }) }],
  invalid_token_signature: [
    { name: 'another secret', headers: bearing(freshToken({}, { secret: OTHER_SECRET_BYTES })) },
    { name: 'expired and forged', headers: bearing(FORGED) },
  ],
  missing_expiry: [{ name: 'no exp', headers: bearing(mintToken({ did: 'd' })) }],
  token_expired: [{ name: 'exp in the past', headers: token(EXPIRED) }],
  token_not_yet_valid: [{ name: 'nbf in the future', headers: token({ nbf: 9_999_999_999 }) }],
  claim_mismatch: [
    { name: 'another issuer', policy: 'claims', headers: token({ iss: 'other', aud: 'api.example.com' }) },
    { name: 'another audience', policy: 'claims', headers: token({ iss: 'approov.io', aud: 'example.com' }) },
    {
      name: 'audience host without a host',
      policy: 'claims',
      headers: token({ iss: 'approov.io', aud: '' }),
      http: { host: '' },
    },
  ],
  missing_pay_claim: [
    {
      name: 'no pay under required',
      policy: 'bound-always',
      headers: { ...token(), authorization: 'a' },
    },
  ],
  missing_binding_header: [
    { name: 'a bound token without its header', policy: 'bound', headers: token({ pay: payFor('a') }) },
    {
      name: 'a bound token with a blank header',
      policy: 'bound',
      headers: { ...token({ pay: payFor('a') }), authorization: ' ' },
    },
  ],
  binding_mismatch: [
    {
      name: 'another header value',
      policy: 'bound',
      headers: { ...token({ pay: payFor('a') }), authorization: 'b' },
    },
    { name: 'an empty pay', policy: 'bound', headers: { ...token({ pay: '' }), authorization: 'b' } },
  ],
  missing_message_signature: [
    { name: 'a token with ipk alone', policy: 'signed', headers: token(CLAIMS) },
    { name: 'one signature of two', policy: 'signed-by-both', headers: signed() },
  ],
  invalid_message_signature: [
    { name: 'the signature of another path', policy: 'signed', headers: signed({ path: '/b' }) },
    {
      name: 'the signature of another token of the device',
      policy: 'signed',
      headers: { ...signed(), ...token(CLAIMS) },
    },
    {
      name: 'a signed header that was changed',
      policy: 'signed',
      headers: { ...signed({ headers: { 'x-only-here': '1' } }), 'x-only-here': '2' },
    },
  ],
  message_signature_expired: [
    { name: 'one that expired', policy: 'signed', headers: signed({ created: 1_000_000_000 }) },
  ],
  missing_signed_components: [
    { name: 'a header that is not covered', policy: 'signed-device', headers: signed() },
  ],
  content_digest_mismatch: [
    {
      name: 'another body',
      policy: 'signed',
      headers: signed({ headers: { 'content-digest': digestOf('{"amount":1}') } }),
      http: { raw_body: Buffer.from('{"amount":100}') },
    },
    {
      name: 'a part of the body',
      policy: 'signed',
      headers: {
        ...signed({ headers: { 'content-digest': digestOf('{"amount":1}') } }),
        'x-envoy-auth-partial-body': 'true',
      },
      http: { raw_body: Buffer.from('{"amount":1}') },
    },
  ],
  message_replayed: [
    { name: 'a signature that came before', policy: 'signed-once', headers: signed(), isRepeated: true },
    {
      name: 'the signature of another request, as Envoy’s id says',
      policy: 'signed-once',
      headers: signed(),
      http: { id: '1' },
      repeatedHttp: { id: '2' },
      isRepeated: true,
    },
  ],
  internal_error: [{ name: 'a message that does not decode', headers: Buffer.from('0a7f', 'hex') }],
};

test('every reason has a case', () => {
  expect(Object.keys(CASES).sort()).toEqual([...REASON_NAMES].sort());
});

describe.each(Object.entries(CASES))('%s', (reason, cases) => {
  test.each(cases)('for $name', async (one) => {
    const first = await answerTo(one);
    const response = one.isRepeated ? await answerTo({ ...one, http: one.repeatedHttp ?? {} }) : first;
    const isFault = reason === 'internal_error';
    const isPassed = ['ok', 'policy_off', 'cors_preflight'].includes(reason);
    expect(metadataOf(response)['approov_reason']).toBe(reason);
    expect(response.status?.code).toBe(isPassed ? 0 : isFault ? 14 : 16);
    expect(response.denied_response?.status.code).toBe(isPassed ? undefined : isFault ? 503 : 401);
    expect(response.ok_response === undefined).toBe(!isPassed);
  });
});

const VERIFIED = { headers: token() };
const UNVERIFIED = { headers: token(EXPIRED) };

describe('the action', () => {
  test.each([
    {
      name: 'observe, verified',
      policy: 'observe',
      ...VERIFIED,
      expected: [0, 'observe', 'verified', 'allow'],
    },
    {
      name: 'observe, unverified',
      policy: 'observe',
      ...UNVERIFIED,
      expected: [0, 'observe', 'unverified', 'allow'],
    },
    {
      name: 'observe, skipped',
      policy: 'observe',
      ...PREFLIGHT,
      expected: [0, 'observe', 'skipped', 'allow'],
    },
    { name: 'limit, verified', policy: 'limit', ...VERIFIED, expected: [0, 'limit', 'verified', 'allow'] },
    {
      name: 'limit, unverified',
      policy: 'limit',
      ...UNVERIFIED,
      expected: [0, 'limit', 'unverified', 'limit'],
    },
    { name: 'limit, skipped', policy: 'limit', ...PREFLIGHT, expected: [0, 'limit', 'skipped', 'allow'] },
    {
      name: 'enforce, verified',
      policy: 'default',
      ...VERIFIED,
      expected: [0, 'enforce', 'verified', 'allow'],
    },
    {
      name: 'enforce, unverified',
      policy: 'default',
      ...UNVERIFIED,
      expected: [16, 'enforce', 'unverified', 'deny'],
    },
    {
      name: 'enforce, skipped',
      policy: 'default',
      ...PREFLIGHT,
      expected: [0, 'enforce', 'skipped', 'allow'],
    },
    { name: 'off, skipped', policy: 'open', ...UNVERIFIED, expected: [0, 'off', 'skipped', 'allow'] },
    {
      name: 'unknown, unverified',
      policy: 'unconfigured',
      ...VERIFIED,
      expected: [16, 'unknown', 'unverified', 'deny'],
    },
  ])('is by mode and verdict: $name', async ({ expected, ...one }) => {
    const response = await answerTo(one);
    const {
      approov_mode: mode,
      approov_verdict: verdict,
      approov_action: action,
      approov_reason: reason,
    } = metadataOf(response);
    expect([response.status?.code, mode, verdict, action]).toEqual(expected);
    if (action === 'deny') return;
    const sent = Object.fromEntries(
      response.ok_response?.headers.map(({ header }) => [header.key, header.value]) ?? [],
    );
    expect(sent).toEqual({
      'x-approov-verdict': verdict,
      'x-approov-action': action,
      ...(reason === 'ok' ? {} : { 'x-approov-reason': reason }),
    });
  });
});
