/** Owns the proof that a log line holds what is promised and nothing that opens the API, and that a flood is summed up. */
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { verifyToken } from '../../../src/approov/token.ts';
import type { CheckRequest } from '../../../src/authz/check-request.ts';
import { type Decision, decide, decideUnreadable } from '../../../src/authz/decide.ts';
import { choosePolicies } from '../../../src/authz/policy.ts';
import { createLog, type Log } from '../../../src/telemetry/log.ts';
import { checkRequest, KEYSET, NOW, policy, policyTable } from '../../support/check.ts';
import { mintToken, OTHER_SECRET_BYTES } from '../../support/token.ts';

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const BOUND = policy({ binding: { headers: ['authorization', 'user-agent'], when: 'if-present' } });

let log: Log | undefined;
afterEach(() => log?.close());

function start(checks: 'none' | 'failures' | 'all' = 'failures', level = 'info') {
  const lines: Record<string, unknown>[] = [];
  const suppressed: [reason: string, count: number][] = [];
  const clock = { nowMs: 5000 };
  log = createLog({
    settings: { level, checks },
    destination: { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
    nowMs: () => clock.nowMs,
    onSuppressed: (reason, count) => void suppressed.push([reason, count]),
  });
  return { log, lines, suppressed, clock };
}

function judge(request: CheckRequest, by = policy()): Decision {
  const choice = choosePolicies(request, policyTable(by));
  return decide(request, choice, (token) => verifyToken(token, KEYSET, 'api.example.com'), NOW);
}

/** What was written for one check, without what pino adds. */
function lineFor(
  request: CheckRequest | undefined,
  decision: Decision,
  traceparent?: string,
): Record<string, unknown> {
  const { log: own, lines } = start('all');
  own.checkDone({
    request: request,
    decision: decision,
    traceparent: traceparent,
    nowSeconds: NOW,
    durationSeconds: 0,
  });
  own.close();
  expect(lines).toHaveLength(1);
  const { time, pid, hostname, ...rest } = lines[0] ?? {};
  expect([typeof time, typeof pid, typeof hostname]).toEqual(['number', 'number', 'string']);
  return rest;
}

describe('the line of a check', () => {
  test('has each field that is promised', () => {
    const token = mintToken(
      { exp: NOW + 300, arc: 'ARC', did: 'DID' },
      { header: { kid: 'k1' }, secret: OTHER_SECRET_BYTES },
    );
    const request = checkRequest({
      method: 'POST',
      host: 'api.example.com',
      path: '/a/b?secret=1#c',
      sourceAddress: '192.0.2.9',
      headers: {
        'approov-token': token,
        'user-agent': 'app/1.0',
        'x-request-id': 'r-1',
        'x-envoy-external-address': '203.0.113.5',
      },
    });
    expect(lineFor(request, judge(request), TRACEPARENT)).toEqual({
      level: 30,
      msg: 'check failed',
      reason: 'invalid_token_signature',
      policy: 'default',
      mode: 'enforce',
      action: 'deny',
      would_deny: true,
      method: 'POST',
      host: 'api.example.com',
      path: '/a/b',
      source_address: '192.0.2.9',
      'x-envoy-external-address': '203.0.113.5',
      user_agent: 'app/1.0',
      'x-request-id': 'r-1',
      trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
      alg: 'HS256',
      kid: 'k1',
      token_fingerprint: createHash('sha256').update(token).digest('hex').slice(0, 12),
      unverified_arc: 'ARC',
      unverified_did: 'DID',
    });
  });

  test('calls the claims of a verified signature by their names, even if the token failed later', () => {
    const request = checkRequest({
      headers: { 'approov-token': mintToken({ exp: NOW, arc: 'ARC', did: 'DID' }) },
    });
    const line = lineFor(request, judge(request));
    expect(line).toMatchObject({ reason: 'token_expired', key_id: 'current', arc: 'ARC', did: 'DID' });
    expect(line).not.toHaveProperty('unverified_arc');
    expect(line).not.toHaveProperty('unverified_did');
  });

  test('of a failure under observe says that it would have been denied, of a success that it would not', () => {
    const missing = checkRequest();
    expect(lineFor(missing, judge(missing, policy({ mode: 'observe' })))).toMatchObject({
      action: 'allow',
      would_deny: true,
    });
    const fine = checkRequest({ headers: { 'approov-token': mintToken({ exp: NOW + 1 }) } });
    expect(lineFor(fine, judge(fine))).toMatchObject({ msg: 'check passed', would_deny: false });
    const skipped = checkRequest();
    expect(lineFor(skipped, judge(skipped, policy({ mode: 'off' })))).toMatchObject({
      reason: 'policy_off',
      would_deny: false,
    });
  });

  test('of a message that does not decode is an error and knows only that', () => {
    expect(lineFor(undefined, decideUnreadable(), TRACEPARENT)).toEqual({
      level: 50,
      msg: 'check failed',
      reason: 'internal_error',
      policy: 'unknown',
      mode: 'unknown',
      action: 'deny',
      would_deny: true,
      trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
    });
  });

  test.each([
    ['/a?b#c', '/a'],
    ['/a#b?c', '/a'],
    ['?a', ''],
    ['/a?b\n/c?d', '/a'],
    ['', ''],
    [`/${'x'.repeat(300)}`, `/${'x'.repeat(255)}`],
    [`/${'x'.repeat(300)}?q`, `/${'x'.repeat(255)}`],
  ])('has of the path %j only %j', (path, logged) => {
    const request = checkRequest({ path });
    expect(lineFor(request, judge(request))['path']).toBe(logged);
  });

  test('cuts every text that a client sent to 256 characters', () => {
    const long = 'y'.repeat(300);
    const token = mintToken({ arc: long, did: long }, { header: { alg: long, kid: long } });
    const headers = {
      'approov-token': token,
      'user-agent': long,
      'x-request-id': long,
      'x-envoy-external-address': long,
    };
    const request = checkRequest({ method: long, host: long, path: long, sourceAddress: long, headers });
    const line = lineFor(request, judge(request));
    const fields = [
      'method',
      'host',
      'path',
      'source_address',
      'x-envoy-external-address',
      'user_agent',
      'x-request-id',
    ];
    for (const field of [...fields, 'alg', 'kid', 'unverified_arc', 'unverified_did']) {
      expect([field, line[field]]).toEqual([field, 'y'.repeat(256)]);
    }
  });

  test('stays one line of JSON whatever a client sends', () => {
    const odd = `a\n{"b":"\u0000\u2028\ud83d${'\u{1f600}'.repeat(200)}`;
    const request = checkRequest({
      method: odd,
      host: odd,
      path: odd,
      headers: { 'user-agent': Buffer.from([0xff, 0x0a]) },
    });
    expect(lineFor(request, judge(request))).toMatchObject({
      user_agent: '\u{fffd}\n',
      method: odd.slice(0, 256),
    });
  });

  test('holds no control or format character as such, in what a client sent or in what we say', () => {
    const nasty = 'a\u0007\u0085\u009b2J\u2028\u202emoc\u2066\u200f\u{e0041}\u007fz';
    const token = mintToken({ arc: nasty, did: nasty }, { header: { alg: nasty, kid: nasty } });
    const written: string[] = [];
    const own = createLog({
      settings: { level: 'info', checks: 'all' },
      destination: { write: (line) => void written.push(line) },
      nowMs: () => 0,
      onSuppressed: () => undefined,
    });
    const headers = { 'approov-token': token, 'user-agent': nasty };
    const request = checkRequest({ method: nasty, host: nasty, path: nasty, sourceAddress: nasty, headers });
    own.checkDone({
      request: request,
      decision: judge(request),
      traceparent: undefined,
      nowSeconds: NOW,
      durationSeconds: 0,
    });
    own.warn({ problem: nasty }, nasty);
    own.close();
    expect(written).toHaveLength(2);
    for (const line of written) expect(line).toMatch(/^[\x20-\x7e]+\n$/);
    expect(JSON.parse(written[0] ?? '')).toMatchObject({ host: nasty, user_agent: nasty, kid: nasty });
    expect(JSON.parse(written[1] ?? '')).toMatchObject({ problem: nasty, msg: nasty });
  });

  test('leaves out what is no text in a token, and a traceparent that is none', () => {
    const token = mintToken({ arc: 1, did: ['x'] }, { header: { kid: { a: 1 } } });
    const request = checkRequest({ headers: { 'approov-token': token } });
    const line = lineFor(request, judge(request), '00-xyz');
    for (const field of ['kid', 'unverified_arc', 'unverified_did', 'trace_id'])
      expect(line).not.toHaveProperty(field);
  });

  test('never holds the token, a query, a fragment or a bound header', () => {
    const token = mintToken({ exp: NOW + 300, pay: 'x' });
    const headers = { 'approov-token': token, authorization: 'Bearer planted', 'user-agent': 'planted too' };
    const request = checkRequest({ path: '/p?planted#planted', headers });
    const { log: own, lines } = start('all');
    own.configure(policyTable(BOUND), { level: 'info', checks: 'all' });
    own.checkDone({
      request: request,
      decision: judge(request, BOUND),
      traceparent: undefined,
      nowSeconds: NOW,
      durationSeconds: 0,
    });
    expect(lines).toMatchObject([{ reason: 'binding_mismatch' }]);
    const text = JSON.stringify(lines);
    for (const planted of ['planted', token, ...token.split('.')]) expect(text).not.toContain(planted);
  });
});

describe('which checks have a line', () => {
  const missing = checkRequest();
  const fine = checkRequest({ headers: { 'approov-token': mintToken({ exp: NOW + 1 }) } });

  test.each<['none' | 'failures' | 'all', string[]]>([
    ['none', []],
    ['failures', ['missing_approov_token']],
    ['all', ['missing_approov_token', 'ok']],
  ])('under checks: %s', (checks, reasons) => {
    const { log: own, lines } = start(checks);
    for (const request of [missing, fine])
      own.checkDone({
        request: request,
        decision: judge(request),
        traceparent: undefined,
        nowSeconds: NOW,
        durationSeconds: 0,
      });
    expect(lines.map(({ reason }) => reason)).toEqual(reasons);
  });

  test('is changed by a new configuration, as is the level', () => {
    const { log: own, lines } = start('none');
    own.configure(policyTable(policy()), { level: 'info', checks: 'failures' });
    own.checkDone({
      request: missing,
      decision: judge(missing),
      traceparent: undefined,
      nowSeconds: NOW,
      durationSeconds: 0,
    });
    own.configure(policyTable(policy()), { level: 'error', checks: 'failures' });
    own.checkDone({
      request: missing,
      decision: judge(missing),
      traceparent: undefined,
      nowSeconds: NOW,
      durationSeconds: 0,
    });
    expect(lines).toHaveLength(1);
  });

  test.each([
    ['silent', 'info', ['info', 'warn', 'error']],
    ['info', 'error', ['error']],
  ])('and from %s to %s so are all other lines', (before, after, levels) => {
    const { log: own, lines } = start('none', before);
    own.configure(policyTable(policy()), { level: after, checks: 'none' });
    for (const level of ['info', 'warn', 'error'] as const) own[level]({}, level);
    expect(lines.map(({ msg }) => msg)).toEqual(levels);
  });
});

describe('a flood', () => {
  const missing = checkRequest();
  const duplicate = checkRequest({ headers: { 'approov-token': ['a', 'b'] } });

  test('of over 20 lines a second for a reason is summed up in one line and one count; other reasons are not touched', () => {
    const { log: own, lines, suppressed, clock } = start();
    const write = (request: CheckRequest): void =>
      own.checkDone({
        request: request,
        decision: judge(request),
        traceparent: undefined,
        nowSeconds: NOW,
        durationSeconds: 0,
      });
    for (let count = 0; count < 25; count++) write(missing);
    for (let count = 0; count < 20; count++) write(duplicate);
    expect(lines.filter(({ reason }) => reason === 'missing_approov_token')).toHaveLength(20);
    expect(lines.filter(({ reason }) => reason === 'duplicate_approov_token')).toHaveLength(20);
    expect(suppressed).toEqual([]);

    clock.nowMs += 1000;
    write(missing);
    expect(suppressed).toEqual([['missing_approov_token', 5]]);
    expect(lines.slice(40)).toMatchObject([
      { reason: 'missing_approov_token', suppressed: 5, msg: 'lines of checks suppressed', level: 30 },
      { reason: 'missing_approov_token', msg: 'check failed' },
    ]);
  });

  test('is summed up at the level of its lines, and not counted where they are not wanted', () => {
    const { log: own, lines, suppressed } = start('all', 'error');
    for (let count = 0; count < 22; count++) {
      own.checkDone({
        request: undefined,
        decision: decideUnreadable(),
        traceparent: undefined,
        nowSeconds: NOW,
        durationSeconds: 0,
      });
      own.checkDone({
        request: missing,
        decision: judge(missing),
        traceparent: undefined,
        nowSeconds: NOW,
        durationSeconds: 0,
      });
    }
    own.close();
    expect(suppressed).toEqual([['internal_error', 2]]);
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toMatchObject({ level: 50, reason: 'internal_error', suppressed: 2 });
  });

  test('that ends with the process is summed up too', () => {
    const { log: own, lines, suppressed } = start();
    for (let count = 0; count < 22; count++)
      own.checkDone({
        request: missing,
        decision: judge(missing),
        traceparent: undefined,
        nowSeconds: NOW,
        durationSeconds: 0,
      });
    own.close();
    expect(suppressed).toEqual([['missing_approov_token', 2]]);
    expect(lines.at(-1)).toMatchObject({ suppressed: 2 });
  });

  test('that ends by itself is summed up without another check', async () => {
    const { log: own, lines, suppressed, clock } = start();
    for (let count = 0; count < 23; count++)
      own.checkDone({
        request: missing,
        decision: judge(missing),
        traceparent: undefined,
        nowSeconds: NOW,
        durationSeconds: 0,
      });
    clock.nowMs += 1000;
    await expect.poll(() => suppressed, { timeout: 10_000 }).toEqual([['missing_approov_token', 3]]);
    expect(lines.at(-1)).toMatchObject({ suppressed: 3 });
  });
});

test('each policy below enforce is named at warn, one line each', () => {
  const { log: own, lines } = start();
  const others = [
    policy({ name: 'a', mode: 'off' }),
    policy({ name: 'b', mode: 'observe' }),
    policy({ name: 'c', mode: 'limit' }),
  ];
  own.configure(policyTable(policy(), [], others), { level: 'info', checks: 'all' });
  expect(lines.map(({ level, policy: name, mode }) => [level, name, mode])).toEqual([
    [40, 'a', 'off'],
    [40, 'b', 'observe'],
    [40, 'c', 'limit'],
  ]);
});

test('a fault says where, and not what, since its message may quote a request', () => {
  const { log: own, lines } = start();
  own.fault(new TypeError('planted message\nplanted line\n    at planted place'));
  own.fault('planted text');
  expect(lines).toMatchObject([
    {
      level: 50,
      msg: 'fault',
      error: 'TypeError',
      stack: expect.arrayContaining([expect.stringContaining('log.test.ts')]),
    },
    { level: 50, msg: 'fault' },
  ]);
  expect(JSON.stringify(lines)).not.toContain('planted');
});
