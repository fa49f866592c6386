/** Tests what the recorder counts of real decisions. */
import { beforeEach, describe, expect, test } from 'vitest';
import { decideUnreadable } from '../../../src/authz/decide.ts';
import type { Policy } from '../../../src/authz/policy.ts';
import { createRolloutRecorder, type RolloutRecorder } from '../../../src/rollout/recorder.ts';
import type { HourSnapshot, PolicySnapshot } from '../../../src/rollout/snapshot.ts';
import { devicesByGroup } from '../../../src/rollout/snapshot.ts';
import { NOW, policy, policyTable, type RequestFields } from '../../support/check.ts';
import { DEVICE_KEY, recordOf } from '../../support/rollout.ts';
import { mintToken, OTHER_SECRET_BYTES } from '../../support/token.ts';

const HOUR = Math.floor(NOW / 3600);
const VALID = mintToken({ exp: NOW + 300, did: 'phone-1' });

let recorder: RolloutRecorder;

beforeEach(() => {
  recorder = createRolloutRecorder(NOW - 60);
  recorder.useDeviceKey(DEVICE_KEY);
});

function check(headers: RequestFields['headers'] = {}, nowSeconds: number = NOW): void {
  recorder.checkDone(recordOf({ headers }, nowSeconds));
}

function counted(name = 'default'): PolicySnapshot {
  return recorder.snapshot().policies[name] ?? { rules: '', restart: null, minutes: [], hours: [] };
}

function configure(configured: Policy, nowSeconds: number): void {
  recorder.configure(policyTable(configured), undefined, nowSeconds);
}

const ONE = { missing_approov_token: 1 };

function hour(): HourSnapshot {
  const [only] = counted().hours;
  if (only === undefined) throw new Error('nothing was counted');
  return only;
}

function devices(): Record<string, number> {
  const groups = devicesByGroup(counted().hours.map((each) => each.devices));
  return Object.fromEntries(Array.from(groups, ([group, sketch]) => [group, sketch.estimate()]));
}

describe('the recorder', () => {
  test('counts checks by reason, in the minute and in the hour', () => {
    check({ 'approov-token': VALID });
    check({ 'approov-token': VALID });
    check({ 'approov-token': mintToken({ exp: NOW - 1 }) });
    const outcomes = { ok: 2, token_expired: 1 };
    expect(counted().minutes).toEqual([{ number: NOW / 60, outcomes }]);
    expect(hour()).toMatchObject({ number: HOUR, outcomes });
  });

  test.each<[what: string, outcome: string, headers: RequestFields['headers'], words: object]>([
    ['no sign of the SDK', 'missing_approov_token', {}, {}],
    [
      'a status word in the header',
      'sdk_without_token',
      { 'approov-status': 'no_network' },
      { no_network: 1 },
    ],
    ['a status word as the token', 'sdk_without_token', { 'approov-token': 'rejected' }, { rejected: 1 }],
    ['a word that is not known', 'sdk_without_token', { 'approov-status': 'Surprise' }, { other: 1 }],
    ['a trace id only', 'sdk_without_token', { 'approov-traceid': 'abc' }, { none: 1 }],
  ])('counts a missing token with %s as %s', (_what, outcome, headers, words) => {
    check(headers);
    expect(hour().outcomes).toEqual({ [outcome]: 1 });
    expect(hour().words).toEqual(words);
  });

  test('counts how late expired tokens were', () => {
    for (const late of [0, 59, 60, 299, 3599, 3600])
      check({ 'approov-token': mintToken({ exp: NOW - late }) });
    expect(hour().overshoots).toEqual({ under_1m: 2, under_5m: 2, under_1h: 1, longer: 1 });
  });

  test('counts a device by the id in its token, whether the token verified or not', () => {
    const tokenOf = (did: string, secret?: Buffer): string =>
      mintToken({ exp: NOW + 300, did }, secret && { secret });
    for (const did of ['a', 'b', 'a', 'c']) check({ 'approov-token': tokenOf(did) });
    for (const did of ['x', 'x', 'x']) check({ 'approov-token': tokenOf(did, OTHER_SECRET_BYTES) });
    expect(devices()).toEqual({ verified: 3, forged: 1 });
  });

  test('counts a device without an id by the address of the client', () => {
    for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.1'])
      check({ 'x-envoy-external-address': address });
    recorder.checkDone(recordOf({ sourceAddress: '192.0.2.3' }));
    expect(devices()).toEqual({ no_sdk: 3 });
  });

  test('counts no devices without a key', () => {
    recorder = createRolloutRecorder(NOW);
    check({ 'approov-token': VALID });
    expect(hour().devices).toEqual({});
  });

  test('counts app versions that are configured by name, and all others as other', () => {
    recorder.configure(policyTable(policy()), { header: 'x-app-version', known: ['7.2', '7.3'] }, NOW);
    check({ 'approov-token': VALID, 'x-app-version': '7.3' });
    check({ 'approov-token': VALID, 'x-app-version': ' 7.3 ' });
    check({ 'x-app-version': '7.3' });
    check({ 'x-app-version': '9.9<script>' });
    check({ 'x-app-version': ['7.2', '7.3'] });
    check({ 'approov-token': VALID });
    expect(hour()).toMatchObject({
      judgedVersions: { '7.3': 3, other: 3 },
      verifiedVersions: { '7.3': 2, other: 1 },
    });
  });

  test('counts a skipped check as nothing but skipped', () => {
    recorder.configure(policyTable(policy()), { header: 'x-app-version', known: ['7.3'] }, NOW);
    recorder.checkDone(recordOf({}, NOW, policy({ mode: 'off' })));
    expect(hour()).toEqual({
      number: HOUR,
      outcomes: { policy_off: 1 },
      words: {},
      overshoots: {},
      judgedVersions: {},
      verifiedVersions: {},
      devices: {},
    });
  });

  test('counts checks without a configured policy apart', () => {
    recorder.checkDone(recordOf({ policyName: 'nowhere' }));
    recorder.checkDone({ ...recordOf({}), request: undefined, decision: decideUnreadable() });
    expect(counted('unknown').hours[0]?.outcomes).toEqual({ unknown_policy: 1, internal_error: 1 });
    expect(counted().hours).toEqual([]);
  });

  test('forgets a policy that is removed', () => {
    check({});
    recorder.configure(policyTable(policy({ name: 'other' })), undefined, NOW);
    expect(Object.keys(recorder.snapshot().policies)).toEqual(['unknown', 'other']);
  });

  test.each<[what: string, before: Partial<Policy> | undefined, after: Partial<Policy>, cause: string]>([
    ['is added', undefined, {}, 'added'],
    ['leaves mode off', { mode: 'off' }, { mode: 'observe' }, 'left_off'],
    ['is changed', { issuer: null }, { issuer: ['approov.io'] }, 'changed'],
  ])('resets the counts of a policy that %s', (_what, before, after, cause) => {
    const other = policy({ name: 'other' });
    configure(before === undefined ? other : policy(before), NOW - 60);
    check({});
    configure(policy(after), NOW - 10);
    check({});
    expect(counted()).toMatchObject({ restart: { cause, atSeconds: NOW - 10 }, hours: [{ outcomes: ONE }] });
    // The next reload changes nothing of it.
    configure(policy({ ...after, mode: 'limit' }), NOW);
    expect(counted()).toMatchObject({ restart: { cause, atSeconds: NOW - 10 }, hours: [{ outcomes: ONE }] });
  });

  test('counts on if a policy is configured as the process starts, or changes what a verdict leads to', () => {
    configure(policy({ mode: 'observe' }), NOW - 60);
    check({});
    configure(policy({ mode: 'enforce', enforcePercent: 5, forwardToken: true }), NOW - 10);
    expect(counted()).toMatchObject({ restart: null, hours: [{ outcomes: ONE }] });
  });

  test('keeps an hour by the minute and a day by the hour, however long it runs', () => {
    for (let minute = 0; minute < 3 * 24 * 60; minute++) check({}, NOW + 60 * minute);
    expect(counted().minutes).toHaveLength(61);
    expect(counted().hours).toHaveLength(25);
  });
});
