/** Tests the fields of check lines, that they contain no token or bound header, and the rate limit. */
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import type { CheckRequest } from '../../../src/authz/check-request.ts';
import { type Decision, decide, decideUnreadable } from '../../../src/authz/decide.ts';
import { choosePolicies } from '../../../src/authz/policy.ts';
import type { CheckRecord } from '../../../src/telemetry/check-observer.ts';
import { createLog, type Log } from '../../../src/telemetry/log.ts';
import { checkRequest, checkVerifier, NOW, policy, policyTable } from '../../support/check.ts';
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
  return decide(request, choice, checkVerifier(), NOW);
}

function record(request: CheckRequest | undefined, decision: Decision, traceparent?: string): CheckRecord {
  return { request, decision, traceparent, nowSeconds: NOW, durationSeconds: 0 };
}

/** The line of one check, without the fields that pino adds. */
function lineFor(
  request: CheckRequest | undefined,
  decision: Decision,
  traceparent?: string,
): Record<string, unknown> {
  const { log: checkLog, lines } = start('all');
  checkLog.checkDone(record(request, decision, traceparent));
  checkLog.close();
  expect(lines).toHaveLength(1);
  const { time, pid, hostname, ...rest } = lines[0] ?? {};
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect([typeof pid, typeof hostname]).toEqual(['number', 'string']);
  return rest;
}

describe('the log line of a check', () => {
  test('has every documented field', () => {
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
        'approov-status': 'rejected',
        'approov-traceid': 'T-1',
      },
    });
    expect(lineFor(request, judge(request), TRACEPARENT)).toEqual({
      level: 'info',
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
      sdk_status: 'rejected',
      approov_trace_id: 'T-1',
      alg: 'HS256',
      kid: 'k1',
      token_fingerprint: createHash('sha256').update(token).digest('hex').slice(0, 12),
      unverified_arc: 'ARC',
      unverified_did: 'DID',
    });
  });

  test('has claims without the prefix unverified_ once the signature verified, even if the token failed later', () => {
    const request = checkRequest({
      headers: { 'approov-token': mintToken({ exp: NOW, arc: 'ARC', did: 'DID' }) },
    });
    const line = lineFor(request, judge(request));
    expect(line).toMatchObject({ reason: 'token_expired', key_id: 'current', arc: 'ARC', did: 'DID' });
    expect(line).not.toHaveProperty('unverified_arc');
    expect(line).not.toHaveProperty('unverified_did');
  });

  test.each<[claims: object, reason: string, seconds: number | undefined]>([
    [{ exp: NOW - 7200 }, 'token_expired', 7200],
    [{ exp: NOW - 1.26 }, 'token_expired', 1.3],
    [{ exp: NOW }, 'token_expired', 0],
    [{ exp: NOW + 300, nbf: NOW + 90 }, 'token_not_yet_valid', 90],
    [{ exp: NOW + 300, nbf: '90' }, 'token_not_yet_valid', undefined],
    [{ exp: -1e308 }, 'token_expired', undefined],
    [{ exp: NOW + 300 }, 'ok', undefined],
    [{}, 'missing_expiry', undefined],
  ])('has for %j the reason %s and expired_seconds %s', (claims, reason, seconds) => {
    const request = checkRequest({ headers: { 'approov-token': mintToken(claims) } });
    const line = lineFor(request, judge(request));
    expect([line['reason'], line['expired_seconds']]).toEqual([reason, seconds]);
  });

  test.each([
    ['an SDK status word in place of the token', { 'approov-token': 'NO_NETWORK' }, 'no_network'],
    ['an SDK status header', { 'approov-status': 'rejected' }, 'rejected'],
    ['an unknown SDK status', { 'approov-status': 'planted' }, 'other'],
    ['no SDK status', {}, undefined],
  ])('has for %s the sdk_status %s', (_what, headers, expected) => {
    const request = checkRequest({ headers });
    expect(lineFor(request, judge(request))['sdk_status']).toBe(expected);
  });

  test('has would_deny true for a failure under observe, false for a success or a skipped check', () => {
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

  test.each([
    { host: 'u:planted@api.example.com', path: '/a@b', seen: { host: 'api.example.com', path: '/a@b' } },
    {
      host: 'planted@x@a.test:80',
      path: 'http://u:planted@a.test/b',
      seen: { host: 'a.test:80', path: 'http://a.test/b' },
    },
    { host: 'a.test', path: 'planted@a.test:443', seen: { host: 'a.test', path: 'a.test:443' } },
  ])('has no user name or password of a host or target: $host $path', ({ host, path, seen }) => {
    const request = checkRequest({ host, path });
    const line = lineFor(request, judge(request));
    expect(line).toMatchObject(seen);
    expect(JSON.stringify(line)).not.toContain('planted');
  });

  test('is an error without request fields if the message does not decode', () => {
    expect(lineFor(undefined, decideUnreadable(), TRACEPARENT)).toEqual({
      level: 'error',
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
  ])('has for the path %j only %j', (path, logged) => {
    const request = checkRequest({ path });
    expect(lineFor(request, judge(request))['path']).toBe(logged);
  });

  test('has client text cut to 256 characters', () => {
    const long = 'y'.repeat(300);
    const token = mintToken({ arc: long, did: long }, { header: { alg: long, kid: long } });
    const headers = {
      'approov-token': token,
      'user-agent': long,
      'x-request-id': long,
      'x-envoy-external-address': long,
      'approov-traceid': long,
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
      'approov_trace_id',
    ];
    for (const field of [...fields, 'alg', 'kid', 'unverified_arc', 'unverified_did']) {
      expect([field, line[field]]).toEqual([field, 'y'.repeat(256)]);
    }
  });

  test('is one line of JSON whatever a client sends', () => {
    const hostile = `a\n{"b":"\u0000\u2028\ud83d${'\u{1f600}'.repeat(200)}`;
    const request = checkRequest({
      method: hostile,
      host: hostile,
      path: hostile,
      headers: { 'user-agent': Buffer.from([0xff, 0x0a]) },
    });
    expect(lineFor(request, judge(request))).toMatchObject({
      user_agent: '\u{fffd}\n',
      method: hostile.slice(0, 256),
    });
  });

  test('has control and format characters escaped, in client text and in our own messages', () => {
    const nasty = 'a\u0007\u0085\u009b2J\u2028\u202emoc\u2066\u200f\u{e0041}\u007fz';
    const token = mintToken({ arc: nasty, did: nasty }, { header: { alg: nasty, kid: nasty } });
    const written: string[] = [];
    const checkLog = createLog({
      settings: { level: 'info', checks: 'all' },
      destination: { write: (line) => void written.push(line) },
      nowMs: () => 0,
      onSuppressed: () => undefined,
    });
    const headers = { 'approov-token': token, 'user-agent': nasty };
    const request = checkRequest({ method: nasty, host: nasty, path: nasty, sourceAddress: nasty, headers });
    checkLog.checkDone(record(request, judge(request)));
    checkLog.warn({ problem: nasty }, nasty);
    checkLog.close();
    expect(written).toHaveLength(2);
    for (const line of written) expect(line).toMatch(/^[\x20-\x7e]+\n$/);
    expect(JSON.parse(written[0] ?? '')).toMatchObject({ host: nasty, user_agent: nasty, kid: nasty });
    expect(JSON.parse(written[1] ?? '')).toMatchObject({ problem: nasty, msg: nasty });
  });

  test('omits token fields that are not strings, and a malformed traceparent', () => {
    const token = mintToken({ arc: 1, did: ['x'] }, { header: { kid: { a: 1 } } });
    const request = checkRequest({ headers: { 'approov-token': token } });
    const line = lineFor(request, judge(request), '00-xyz');
    for (const field of ['kid', 'unverified_arc', 'unverified_did', 'trace_id'])
      expect(line).not.toHaveProperty(field);
  });

  test('never contains the token, a query, a fragment or a bound header', () => {
    const token = mintToken({ exp: NOW + 300, pay: 'x' });
    const headers = { 'approov-token': token, authorization: 'Bearer planted', 'user-agent': 'planted too' };
    const request = checkRequest({ path: '/p?planted#planted', headers });
    const { log: checkLog, lines } = start('all');
    checkLog.configure(policyTable(BOUND), { level: 'info', checks: 'all' });
    checkLog.checkDone(record(request, judge(request, BOUND)));
    expect(lines).toMatchObject([{ reason: 'binding_mismatch' }]);
    const text = JSON.stringify(lines);
    for (const planted of ['planted', token, ...token.split('.')]) expect(text).not.toContain(planted);
  });
});

describe('log.checks', () => {
  const missing = checkRequest();
  const fine = checkRequest({ headers: { 'approov-token': mintToken({ exp: NOW + 1 }) } });

  test.each<['none' | 'failures' | 'all', string[]]>([
    ['none', []],
    ['failures', ['missing_approov_token']],
    ['all', ['missing_approov_token', 'ok']],
  ])('%s logs the reasons %j', (checks, reasons) => {
    const { log: checkLog, lines } = start(checks);
    for (const request of [missing, fine]) checkLog.checkDone(record(request, judge(request)));
    expect(lines.map(({ reason }) => reason)).toEqual(reasons);
  });

  test('and the level change with a new configuration', () => {
    const { log: checkLog, lines } = start('none');
    checkLog.configure(policyTable(policy()), { level: 'info', checks: 'failures' });
    checkLog.checkDone(record(missing, judge(missing)));
    checkLog.configure(policyTable(policy()), { level: 'error', checks: 'failures' });
    checkLog.checkDone(record(missing, judge(missing)));
    expect(lines).toHaveLength(1);
  });

  test.each([
    ['silent', 'info', ['info', 'warn', 'error']],
    ['info', 'error', ['error']],
  ])('does not affect other lines: a level changed from %s to %s writes %j', (before, after, levels) => {
    const { log: checkLog, lines } = start('none', before);
    checkLog.configure(policyTable(policy()), { level: after, checks: 'none' });
    for (const level of ['info', 'warn', 'error'] as const) checkLog[level]({}, level);
    expect(lines.map(({ msg }) => msg)).toEqual(levels);
  });
});

describe('at level debug', () => {
  const token = mintToken({ exp: NOW + 300, pay: 'x' });
  const fine = checkRequest({ headers: { 'approov-token': token, 'x-request-id': 'r-1' } });

  test('every check has a line with its steps, whatever log.checks says', () => {
    const { log: checkLog, lines } = start('none', 'debug');
    checkLog.configure(policyTable(policy()), { level: 'debug', checks: 'none' });
    for (let count = 0; count < 25; count++)
      checkLog.checkDone(record(fine, judge(fine), count === 24 ? TRACEPARENT : undefined));
    expect(lines).toHaveLength(25);
    expect(lines[24]).toMatchObject({
      level: 'debug',
      msg: 'check steps',
      reason: 'ok',
      policy: 'default',
      action: 'allow',
      key_id: 'current',
      'x-request-id': 'r-1',
      trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
      steps: { policy: { chosen_by: 'default' }, token: { form: 'jws' }, key: { key_ids: ['current'] } },
    });
  });

  test('a failed check has its line of level info too', () => {
    const { log: checkLog, lines } = start('failures', 'debug');
    const missing = checkRequest();
    checkLog.checkDone(record(missing, judge(missing)));
    expect(lines).toMatchObject([
      { level: 'debug', msg: 'check steps', stopped_by: 'token' },
      { level: 'info', msg: 'check failed' },
    ]);
  });

  test('the steps are logged once a new configuration has the level', () => {
    const { log: checkLog, lines } = start('none');
    checkLog.checkDone(record(fine, judge(fine)));
    checkLog.configure(policyTable(policy()), { level: 'debug', checks: 'none' });
    checkLog.checkDone(record(fine, judge(fine)));
    expect(lines.map(({ msg }) => msg)).toEqual(['check steps']);
  });

  test('the steps contain no token and no bound header', () => {
    const headers = { 'approov-token': token, authorization: 'Bearer planted', 'user-agent': 'planted too' };
    const request = checkRequest({ path: '/p?planted#planted', headers });
    const { log: checkLog, lines } = start('none', 'debug');
    checkLog.configure(policyTable(BOUND), { level: 'debug', checks: 'none' });
    checkLog.checkDone(record(request, judge(request, BOUND)));
    expect(lines).toMatchObject([
      {
        steps: { binding: { has_pay: true, headers: { authorization: 'present', 'user-agent': 'present' } } },
      },
    ]);
    const text = JSON.stringify(lines);
    for (const planted of ['planted', token, ...token.split('.')]) expect(text).not.toContain(planted);
  });

  test('a check does not read the facts of its steps once the level is info again', () => {
    const { log: checkLog } = start('failures', 'debug');
    checkLog.configure(policyTable(policy()), { level: 'info', checks: 'failures' });
    const decision = judge(fine);
    const untouched = new Proxy(decision.facts, {
      get(_target, name) {
        throw new Error(`read ${String(name)}`);
      },
    });
    expect(() => checkLog.checkDone(record(fine, { ...decision, facts: untouched }))).not.toThrow();
  });
});

describe('the rate limit', () => {
  const missing = checkRequest();
  const duplicate = checkRequest({ headers: { 'approov-token': ['a', 'b'] } });

  test('replaces lines above 20 per second and reason with one summary line, and leaves other reasons alone', () => {
    const { log: checkLog, lines, suppressed, clock } = start();
    const write = (request: CheckRequest): void => checkLog.checkDone(record(request, judge(request)));
    for (let count = 0; count < 25; count++) write(missing);
    for (let count = 0; count < 20; count++) write(duplicate);
    expect(lines.filter(({ reason }) => reason === 'missing_approov_token')).toHaveLength(20);
    expect(lines.filter(({ reason }) => reason === 'duplicate_approov_token')).toHaveLength(20);
    expect(suppressed).toEqual([]);

    clock.nowMs += 1000;
    write(missing);
    expect(suppressed).toEqual([['missing_approov_token', 5]]);
    expect(lines.slice(40)).toMatchObject([
      { reason: 'missing_approov_token', suppressed: 5, msg: 'check log lines suppressed', level: 'info' },
      { reason: 'missing_approov_token', msg: 'check failed' },
    ]);
  });

  test('logs its summary at the level of the suppressed lines, and does not count lines below the level', () => {
    const { log: checkLog, lines, suppressed } = start('all', 'error');
    for (let count = 0; count < 22; count++) {
      checkLog.checkDone(record(undefined, decideUnreadable()));
      checkLog.checkDone(record(missing, judge(missing)));
    }
    checkLog.close();
    expect(suppressed).toEqual([['internal_error', 2]]);
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toMatchObject({ level: 'error', reason: 'internal_error', suppressed: 2 });
  });

  test('logs its summary when the log is closed', () => {
    const { log: checkLog, lines, suppressed } = start();
    for (let count = 0; count < 22; count++) checkLog.checkDone(record(missing, judge(missing)));
    checkLog.close();
    expect(suppressed).toEqual([['missing_approov_token', 2]]);
    expect(lines.at(-1)).toMatchObject({ suppressed: 2 });
  });

  test('logs its summary after a second without another check', async () => {
    const { log: checkLog, lines, suppressed, clock } = start();
    for (let count = 0; count < 23; count++) checkLog.checkDone(record(missing, judge(missing)));
    clock.nowMs += 1000;
    await expect.poll(() => suppressed, { timeout: 10_000 }).toEqual([['missing_approov_token', 3]]);
    expect(lines.at(-1)).toMatchObject({ suppressed: 3 });
  });
});

test('each policy below enforce gets one warn line', () => {
  const { log: checkLog, lines } = start();
  const others = [
    policy({ name: 'a', mode: 'off' }),
    policy({ name: 'b', mode: 'observe' }),
    policy({ name: 'c', mode: 'limit' }),
  ];
  checkLog.configure(policyTable(policy(), [], others), { level: 'info', checks: 'all' });
  expect(lines.map(({ level, policy: name, mode }) => [level, name, mode])).toEqual([
    ['warn', 'a', 'off'],
    ['warn', 'b', 'observe'],
    ['warn', 'c', 'limit'],
  ]);
});

test('a policy that enforces a share of devices gets a warn line with the share', () => {
  const { log: checkLog, lines } = start();
  const others = [policy({ name: 'none', enforcePercent: 0 }), policy({ name: 'all', enforcePercent: 100 })];
  checkLog.configure(policyTable(policy({ enforcePercent: 10 }), [], others), {
    level: 'info',
    checks: 'all',
  });
  expect(lines).toMatchObject([
    { level: 'warn', policy: 'default', enforce_percent: 10, msg: 'policy enforces a share of devices' },
    { level: 'warn', policy: 'none', enforce_percent: 0, msg: 'policy enforces no device' },
  ]);
  expect(lines).toHaveLength(2);
});

test('a new log level does not repeat the warnings about policies', () => {
  const { log: checkLog, lines } = start();
  const table = policyTable(policy({ mode: 'observe' }));
  checkLog.configure(table, { level: 'info', checks: 'all' });
  checkLog.configure(table, { level: 'warn', checks: 'none' });
  expect(lines).toMatchObject([{ policy: 'default', mode: 'observe' }]);
});

test('an internal error is logged with its stack and without its message, which may quote a request', () => {
  const { log: checkLog, lines } = start();
  checkLog.internalError(new TypeError('planted message\nplanted line\n    at planted frame'));
  checkLog.internalError('planted text');
  expect(lines).toMatchObject([
    {
      level: 'error',
      msg: 'internal error',
      error: 'TypeError',
      stack: expect.arrayContaining([expect.stringContaining('log.test.ts')]),
    },
    { level: 'error', msg: 'internal error' },
  ]);
  expect(JSON.stringify(lines)).not.toContain('planted');
});
