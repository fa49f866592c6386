import { createSecretKey, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import { CompactEncrypt } from 'jose';
import { afterEach, describe, expect, test } from 'vitest';
import type { DecryptionKey } from '../../src/approov/encrypted-token.ts';
import type { Keyset } from '../../src/approov/keyset.ts';
import { MAX_DECRYPTIONS } from '../../src/authz/decryption-limiter.ts';
import { headersReadUnder } from '../../src/authz/headers-read.ts';
import type { Policy } from '../../src/authz/policy.ts';
import { type CheckRules, createChecker } from '../../src/checker.ts';
import { describeKey } from '../../src/sources/key-parser.ts';
import type { CheckObserver } from '../../src/telemetry/check-observer.ts';
import { createLog, type Log } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { KEYSET, NOW, policy, policyTable, route, symmetricKey } from '../support/check.ts';
import { metadataOf, type RequestJson, type ResponseJson, requestWith } from '../support/grpc-client.ts';
import { mintToken, OTHER_SECRET_BYTES } from '../support/token.ts';

const definition = loadSync('envoy/service/auth/v3/external_auth.proto', {
  includeDirs: [fileURLToPath(new URL('../../proto', import.meta.url))],
  keepCase: true,
});
const CHECK = (definition['envoy.service.auth.v3.Authorization'] as ServiceDefinition)['Check'];
const DENIED = { status: 401, body: '{}', contentType: 'application/json', exposeReason: false, headers: {} };

let log: Log | undefined;
afterEach(() => log?.close());

/** Observers that throw. */
interface Faults {
  readonly log: CheckObserver;
  readonly metrics: CheckObserver;
}

/** A real checker whose log lines and metrics can be read. */
function start(rules: Partial<CheckRules> = {}, clock = { now: NOW }, faults: Partial<Faults> = {}) {
  const lines: Record<string, unknown>[] = [];
  log = createLog({
    settings: { level: 'info', checks: 'all' },
    destination: { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
    nowMs: () => 0,
    onSuppressed: () => {},
  });
  const metrics = createMetrics('0');
  const unknownKids: string[] = [];
  const all = {
    policyTable: policyTable(policy()),
    keyset: KEYSET,
    denied: DENIED,
    tokenCacheEntries: 10,
    decryptionKeys: [],
    messageSigningKeys: [],
    ...rules,
  };
  const checker = createChecker({
    rules: all,
    observers: [faults.metrics ?? metrics, faults.log ?? log],
    metrics,
    log,
    nowSeconds: () => clock.now,
    onUnknownKid: () => void unknownKids.push('one'),
  });
  // Synchronous if nothing has to be decrypted.
  const read = (answer: Buffer | Promise<Buffer>): ResponseJson =>
    CHECK?.responseDeserialize(answer as Buffer) as ResponseJson;
  return {
    lines,
    unknownKids,
    checker,
    rules: all,
    checkBytes: (message: Buffer) => read(checker.check(message, undefined)),
    check: (request: RequestJson) =>
      read(checker.check(CHECK?.requestSerialize(request) as Buffer, undefined)),
    checkLater: async (request: RequestJson) =>
      read(await checker.check(CHECK?.requestSerialize(request) as Buffer, undefined)),
    async metric(line: string): Promise<number> {
      const found = (await metrics.registry.metrics())
        .split('\n')
        .find((each) => each.startsWith(`${line} `));
      return Number(found?.slice(line.length));
    },
  };
}

function bearing(token: string): RequestJson {
  return requestWith({ 'approov-token': token });
}

function outcome(answer: ResponseJson): unknown[] {
  const { approov_reason, approov_action } = metadataOf(answer);
  return [answer.status?.code, approov_action, approov_reason];
}

const TOKEN = mintToken({ exp: NOW + 300, did: 'device' });

function verifyWithBug(): boolean {
  throw new Error(`a bug that quotes ${TOKEN}`);
}

/** The usual keyset with another verify(). */
function keysetOf(verify: () => boolean): Keyset {
  return { ...KEYSET, keys: KEYSET.keys.map((key) => ({ ...key, verify })) };
}

describe('a check', () => {
  test('is answered, counted and logged', async () => {
    const { check, metric, lines } = start();
    expect(outcome(check(bearing(TOKEN)))).toEqual([0, 'allow', 'ok']);
    const labels = 'policy="default",mode="enforce",verdict="verified",action="allow",reason="ok"';
    expect(await metric(`approov_checks_total{${labels}}`)).toBe(1);
    expect(await metric('approov_check_duration_seconds_count{action="allow"}')).toBe(1);
    expect(lines).toMatchObject([{ msg: 'check passed', reason: 'ok', path: '/', level: 'info' }]);
  });

  test('that does not decode is denied as internal_error, counted, and logged as an error', async () => {
    const { checkBytes, metric, lines } = start();
    expect(outcome(checkBytes(Buffer.from([0x0a, 0x7f])))).toEqual([14, 'deny', 'internal_error']);
    const labels =
      'policy="unknown",mode="unknown",verdict="unverified",action="deny",reason="internal_error"';
    expect(await metric(`approov_checks_total{${labels}}`)).toBe(1);
    expect(lines).toMatchObject([{ msg: 'check failed', reason: 'internal_error', level: 'error' }]);
  });

  test.each<[mode: Policy['mode'], code: number, action: string]>([
    ['observe', 0, 'allow'],
    ['limit', 14, 'deny'],
    ['enforce', 14, 'deny'],
  ])('that hits a bug is internal_error, under %s with code %d', async (mode, code, action) => {
    const table = policyTable(policy({ mode }));
    const { check, metric, lines } = start({ policyTable: table, keyset: keysetOf(verifyWithBug) });
    expect(outcome(check(bearing(TOKEN)))).toEqual([code, action, 'internal_error']);
    const labels = `policy="default",mode="${mode}",verdict="unverified",action="${action}",reason="internal_error"`;
    expect(await metric(`approov_checks_total{${labels}}`)).toBe(1);
    expect(lines.map(({ msg, level }) => [msg, level])).toEqual([
      ['internal error', 'error'],
      ['check failed', 'error'],
    ]);
    expect(JSON.stringify(lines)).not.toContain(TOKEN);
  });

  test.each(['log', 'metrics'] as const)('keeps its decision when the %s throws', (part) => {
    const fault = (): never => {
      throw new Error('a bug');
    };
    const { check, lines } = start(
      { policyTable: policyTable(policy({ mode: 'observe' })) },
      { now: NOW },
      { [part]: { checkDone: fault } },
    );
    expect(outcome(check(bearing(TOKEN)))).toEqual([0, 'allow', 'ok']);
    expect(lines).toContainEqual(expect.objectContaining({ msg: 'internal error', error: 'Error' }));
  });

  test('of an ambiguous path looks up its token once, however many policies apply', async () => {
    const [a, b] = [policy({ name: 'a', mode: 'observe' }), policy({ name: 'b', mode: 'limit' })];
    const { check, metric } = start({ policyTable: policyTable(policy(), [route(a), route(b)]) });
    const ambiguous = requestWith({ 'approov-token': TOKEN }, { path: '/a/../b' });
    expect(outcome(check(ambiguous))).toEqual([0, 'allow', 'ok']);
    expect(await metric('approov_token_cache_lookups_total{outcome="miss"}')).toBe(1);
    expect(await metric('approov_token_cache_lookups_total{outcome="hit"}')).toBe(0);
  });
});

test('an ambiguous request is counted and logged by its path, else by its host', async () => {
  const { check, metric, lines } = start();
  const checkWith = (http: RequestJson): unknown => check(requestWith({ 'approov-token': TOKEN }, http));
  for (const http of [{ path: '/a//b' }, { path: '/a;b', host: '' }, { host: 'u@api.example.com' }, {}])
    checkWith(http);
  expect(await metric('approov_ambiguous_requests_total{cause="path"}')).toBe(2);
  expect(await metric('approov_ambiguous_requests_total{cause="host"}')).toBe(1);
  expect(lines.map(({ ambiguous }) => ambiguous)).toEqual(['path', 'path', 'host', undefined]);
});

test('a check does at most eight public-key verifications, whatever the number of its tokens', () => {
  let tried = 0;
  const publicKeys = Array.from({ length: 20 }, (_, index) => ({
    ...symmetricKey({ id: `k${index}` }),
    secret: undefined,
    algorithms: ['RS256'],
    verify: () => {
      tried++;
      return false;
    },
  }));
  const other = policy({ name: 'other', mode: 'limit', tokenHeader: 'x-token' });
  const { check } = start({
    policyTable: policyTable(policy({ mode: 'observe' }), [route(other)]),
    keyset: { keys: publicKeys as unknown as Keyset['keys'], missing: [] },
  });
  const header = { alg: 'RS256' };
  const tokens = {
    'approov-token': mintToken({ exp: NOW + 300 }, { header }),
    'x-token': mintToken({ exp: NOW + 301 }, { header }),
  };
  expect(outcome(check(requestWith(tokens, { path: '/a//b' })))).toEqual([14, 'deny', 'internal_error']);
  expect(tried).toBe(8);
  check(requestWith(tokens));
  expect(tried).toBe(16);
});

describe('the token cache', () => {
  test('hits on a known token, and the check is counted like any other', async () => {
    const { check, metric, lines } = start();
    for (let count = 0; count < 3; count++) check(bearing(TOKEN));
    expect(await metric('approov_token_cache_lookups_total{outcome="miss"}')).toBe(1);
    expect(await metric('approov_token_cache_lookups_total{outcome="hit"}')).toBe(2);
    expect(await metric('approov_key_verifications_total{key_id="current"}')).toBe(3);
    expect(await metric('approov_key_last_used_timestamp_seconds{key_id="current"}')).toBe(NOW);
    expect(await metric('approov_token_remaining_seconds_count')).toBe(3);
    expect(await metric('approov_token_remaining_seconds_sum')).toBe(900);
    const labels = 'policy="default",mode="enforce",verdict="verified",action="allow",reason="ok"';
    expect(await metric(`approov_checks_total{${labels}}`)).toBe(3);
    expect(lines).toHaveLength(3);
    expect(lines[2]).toMatchObject({ reason: 'ok', key_id: 'current', did: 'device' });
  });

  test('does not cache failures', async () => {
    const { check, metric } = start();
    const forged = bearing(mintToken({ exp: NOW + 300 }, { secret: OTHER_SECRET_BYTES }));
    expect([check(forged), check(forged)].map(outcome)).toEqual(
      Array(2).fill([16, 'deny', 'invalid_token_signature']),
    );
    expect(await metric('approov_token_cache_lookups_total{outcome="hit"}')).toBe(0);
  });

  test('does not extend the lifetime of a token, which is checked every time', () => {
    const clock = { now: NOW };
    const { check } = start({}, clock);
    expect(outcome(check(bearing(TOKEN)))).toEqual([0, 'allow', 'ok']);
    clock.now = NOW + 299.999;
    expect(outcome(check(bearing(TOKEN)))).toEqual([0, 'allow', 'ok']);
    clock.now = NOW + 300;
    expect(outcome(check(bearing(TOKEN)))).toEqual([16, 'deny', 'token_expired']);
  });

  test('does not skip the steps after the signature', () => {
    const table = policyTable(policy(), [], [policy({ name: 'claims', issuer: ['approov.io'] })]);
    const { check } = start({ policyTable: table });
    const { attributes } = bearing(TOKEN) as { attributes: object };
    const elsewhere = { attributes: { ...attributes, context_extensions: { approov_policy: 'claims' } } };
    expect(outcome(check(bearing(TOKEN)))).toEqual([0, 'allow', 'ok']);
    expect(outcome(check(elsewhere))).toEqual([16, 'deny', 'claim_mismatch']);
  });

  test('is emptied when the keys change, so that a removed key no longer verifies anything', () => {
    const { check, checker, rules } = start();
    expect(outcome(check(bearing(TOKEN)))).toEqual([0, 'allow', 'ok']);
    checker.replaceRules({ ...rules, keyset: keysetOf(() => false) });
    expect(outcome(check(bearing(TOKEN)))).toEqual([16, 'deny', 'invalid_token_signature']);
  });

  test('is kept when the rules change and the keys do not', async () => {
    const { check, checker, rules, metric } = start();
    check(bearing(TOKEN));
    checker.replaceRules({
      ...rules,
      policyTable: policyTable(policy({ mode: 'observe' })),
      keyset: { ...KEYSET },
    });
    expect(outcome(check(bearing(TOKEN)))).toEqual([0, 'allow', 'ok']);
    expect(await metric('approov_token_cache_lookups_total{outcome="hit"}')).toBe(1);
    checker.replaceRules({ ...rules, decryptionKeys: [DECRYPTION_KEY] });
    check(bearing(TOKEN));
    expect(await metric('approov_token_cache_lookups_total{outcome="hit"}')).toBe(1);
  });

  test('is off with 0 entries', async () => {
    const { check, metric } = start({ tokenCacheEntries: 0 });
    for (let count = 0; count < 2; count++)
      expect(outcome(check(bearing(TOKEN)))).toEqual([0, 'allow', 'ok']);
    expect(await metric('approov_token_cache_lookups_total{outcome="hit"}')).toBe(0);
  });

  test('does not share a token between hosts if a key serves some hosts only', () => {
    const { isForHost } = describeKey({ id: 'current', hosts: ['a.example.com'] });
    const { check } = start({
      keyset: { ...KEYSET, keys: KEYSET.keys.map((key) => ({ ...key, isForHost })) },
    });
    const at = (host: string): unknown[] => outcome(check(requestWith({ 'approov-token': TOKEN }, { host })));
    expect(at('A.example.com:443')).toEqual([0, 'allow', 'ok']);
    expect(at('b.example.com')).toEqual([16, 'deny', 'unknown_key_id']);
    expect(at('a.example.com')).toEqual([0, 'allow', 'ok']);
  });
});

test('only an unknown kid is reported', () => {
  const { check, unknownKids } = start();
  check(bearing(TOKEN));
  check(bearing(mintToken({ exp: NOW + 300 }, { secret: OTHER_SECRET_BYTES })));
  check(bearing('x'));
  expect(unknownKids).toHaveLength(0);
  check(bearing(mintToken({ exp: NOW + 300 }, { header: { kid: 'new' }, secret: OTHER_SECRET_BYTES })));
  expect(unknownKids).toHaveLength(1);
});

const JWE_KEY = createSecretKey(randomBytes(32));
const DECRYPTION_KEY: DecryptionKey = {
  id: 'decryptor',
  kid: undefined,
  key: JWE_KEY,
  fingerprint: '0123456789ab',
  keyManagementAlgorithms: ['dir'],
  contentEncryptionAlgorithms: ['A256GCM'],
  isNested: true,
};

function encrypt(text = TOKEN, header: object = {}): Promise<string> {
  return new CompactEncrypt(Buffer.from(text))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', ...header })
    .encrypt(JWE_KEY);
}

describe('an encrypted token', () => {
  test('is decrypted once, and verified once however often it is encrypted again', async () => {
    const { checkLater, check, metric } = start({ decryptionKeys: [DECRYPTION_KEY] });
    const [one, other] = [await encrypt(), await encrypt()];
    expect(outcome(await checkLater(bearing(one)))).toEqual([0, 'allow', 'ok']);
    // Synchronous: nothing is decrypted.
    expect(outcome(check(bearing(one)))).toEqual([0, 'allow', 'ok']);
    expect(outcome(await checkLater(bearing(other)))).toEqual([0, 'allow', 'ok']);
    expect(outcome(check(bearing(other)))).toEqual([0, 'allow', 'ok']);
    expect(outcome(check(bearing(TOKEN)))).toEqual([0, 'allow', 'ok']);
    expect(await metric('approov_token_cache_lookups_total{outcome="miss"}')).toBe(1);
    expect(await metric('approov_token_cache_lookups_total{outcome="hit"}')).toBe(4);
    expect(await metric('approov_key_verifications_total{key_id="current"}')).toBe(5);
  });

  test('that is encrypted again and again evicts no other token from the cache', async () => {
    const { checkLater, check, metric } = start({ decryptionKeys: [DECRYPTION_KEY], tokenCacheEntries: 2 });
    check(bearing(mintToken({ exp: NOW + 300, did: 'another' })));
    for (let count = 0; count < 4; count++) await checkLater(bearing(await encrypt()));
    check(bearing(mintToken({ exp: NOW + 300, did: 'another' })));
    expect(await metric('approov_token_cache_lookups_total{outcome="miss"}')).toBe(2);
    expect(await metric('approov_token_cache_lookups_total{outcome="hit"}')).toBe(4);
  });

  test('has its lifetime checked every time', async () => {
    const clock = { now: NOW };
    const { checkLater } = start({ decryptionKeys: [DECRYPTION_KEY] }, clock);
    const token = await encrypt();
    expect(outcome(await checkLater(bearing(token)))).toEqual([0, 'allow', 'ok']);
    clock.now = NOW + 300;
    expect(outcome(await checkLater(bearing(token)))).toEqual([16, 'deny', 'token_expired']);
  });

  test('is decrypted only if it is the first in its request', async () => {
    const [a, b] = [
      policy({ name: 'a', tokenHeader: 'token-a' }),
      policy({ name: 'b', tokenHeader: 'token-b' }),
    ];
    const { checkLater } = start({
      decryptionKeys: [DECRYPTION_KEY],
      policyTable: policyTable(a, [route(b)]),
    });
    const [one, other] = [await encrypt(), await encrypt()];
    const checkAmbiguous = (headers: Record<string, string>) =>
      checkLater(requestWith(headers, { path: '/a/../b' }));
    expect(outcome(await checkAmbiguous({ 'token-a': one, 'token-b': one }))).toEqual([0, 'allow', 'ok']);
    expect(outcome(await checkAmbiguous({ 'token-a': one, 'token-b': other }))).toEqual([0, 'allow', 'ok']);
    const fresh = await Promise.all([
      encrypt(mintToken({ exp: NOW + 9 })),
      encrypt(mintToken({ exp: NOW + 8 })),
    ]);
    expect(outcome(await checkAmbiguous({ 'token-a': fresh[0], 'token-b': fresh[1] }))).toEqual([
      16,
      'deny',
      'unsupported_token_algorithm',
    ]);
  });

  test('beyond the decryption limit is denied as internal_error, counted, and logged', async () => {
    const { checkLater, metric, lines } = start({ decryptionKeys: [DECRYPTION_KEY] });
    const tokens = await Promise.all(
      Array.from({ length: MAX_DECRYPTIONS + 2 }, (_, index) =>
        encrypt(mintToken({ exp: NOW + 300, index })),
      ),
    );
    const outcomes = (await Promise.all(tokens.map((token) => checkLater(bearing(token))))).map(outcome);
    expect(outcomes.slice(0, MAX_DECRYPTIONS)).toEqual(Array(MAX_DECRYPTIONS).fill([0, 'allow', 'ok']));
    expect(outcomes.slice(MAX_DECRYPTIONS)).toEqual(Array(2).fill([14, 'deny', 'internal_error']));
    const labels =
      'policy="default",mode="enforce",verdict="unverified",action="deny",reason="internal_error"';
    expect(await metric(`approov_checks_total{${labels}}`)).toBe(2);
    expect(lines.filter(({ level }) => level === 'warn')).toMatchObject([
      { limit: MAX_DECRYPTIONS, msg: 'decryption limit reached: checks are answered internal_error' },
    ]);
    expect(outcome(await checkLater(bearing(tokens.at(-1) ?? '')))).toEqual([0, 'allow', 'ok']);
  });

  test('reports an unknown kid of its inner token, not its own', async () => {
    const declared = { ...KEYSET, keys: KEYSET.keys.map((key) => ({ ...key, kid: 'known' })) };
    const { checkLater, unknownKids } = start({ decryptionKeys: [DECRYPTION_KEY], keyset: declared });
    await checkLater(bearing(await encrypt('no token', { kid: 'unknown' })));
    await checkLater(bearing(await encrypt(mintToken({}, { header: { kid: 'known' } }), { kid: 'unknown' })));
    expect(unknownKids).toEqual([]);
    await checkLater(bearing(await encrypt(mintToken({}, { header: { kid: 'unknown' } }))));
    expect(unknownKids).toEqual(['one']);
  });
});

test.each<[mode: Policy['mode'], code: number, action: string]>([
  ['observe', 0, 'allow'],
  ['enforce', 14, 'deny'],
])('a bug in decryption is internal_error, under %s with code %d', async (mode, code, action) => {
  const broken: DecryptionKey = {
    ...DECRYPTION_KEY,
    get keyManagementAlgorithms(): never {
      throw new Error(`a bug that quotes ${TOKEN}`);
    },
  };
  const { checkLater, lines } = start({
    policyTable: policyTable(policy({ mode })),
    decryptionKeys: [broken],
  });
  expect(outcome(await checkLater(bearing(await encrypt())))).toEqual([code, action, 'internal_error']);
  expect(lines.map(({ msg }) => msg)).toEqual(['internal error', 'check failed']);
  expect(JSON.stringify(lines)).not.toContain(TOKEN);
});

test('a bug in encoding the response is internal_error after a decryption too', async () => {
  const denied = {
    ...DENIED,
    get status(): never {
      throw new Error(`a bug that quotes ${TOKEN}`);
    },
  };
  const { checkLater, lines } = start({ decryptionKeys: [DECRYPTION_KEY], denied });
  const expired = await encrypt(mintToken({ exp: NOW }));
  expect(outcome(await checkLater(bearing(expired)))).toEqual([14, 'deny', 'internal_error']);
  expect(lines.map(({ msg }) => msg)).toEqual(['internal error', 'check failed']);
  expect(JSON.stringify(lines)).not.toContain(TOKEN);
});

describe('replaced rules', () => {
  test('apply to a check whose token was being decrypted', async () => {
    const { checkLater, checker, rules } = start({ decryptionKeys: [DECRYPTION_KEY] });
    const pending = checkLater(bearing(await encrypt()));
    checker.replaceRules({ ...rules, decryptionKeys: [] });
    expect(outcome(await pending)).toEqual([16, 'deny', 'unsupported_token_algorithm']);
  });

  test('apply to the next check: policies, headers and denied response', () => {
    const { check, checker, rules } = start();
    const request = requestWith({ 'x-token': TOKEN });
    expect(outcome(check(request))).toEqual([16, 'deny', 'missing_approov_token']);
    checker.replaceRules({ ...rules, policyTable: policyTable(policy({ tokenHeader: 'x-token' })) });
    expect(outcome(check(request))).toEqual([0, 'allow', 'ok']);
    checker.replaceRules({ ...rules, denied: { ...DENIED, status: 403 } });
    expect(check(request).denied_response?.status.code).toBe(403);
  });
});

test('the headers read are the fixed list and those of each policy', () => {
  const bound = policy({
    name: 'b',
    tokenHeader: 'x-token',
    binding: { headers: ['x-a', 'x-b'], when: 'required' },
  });
  expect([...headersReadUnder(policyTable(policy(), [], [bound]))].sort()).toEqual([
    'access-control-request-method',
    'approov-status',
    'approov-token',
    'approov-traceid',
    'origin',
    'user-agent',
    'x-a',
    'x-b',
    'x-envoy-external-address',
    'x-request-id',
    'x-token',
  ]);
});
