/** Tests the report: windows, groups, the worst hour, versions, what enforcing costs, and the clock hint. */
import { describe, expect, test } from 'vitest';
import type { Policy } from '../../../src/authz/policy.ts';
import { REASON_NAMES, REASONS } from '../../../src/authz/reason.ts';
import { GROUPS, groupOf, OUTCOMES, reasonOf } from '../../../src/rollout/outcomes.ts';
import { createRolloutRecorder } from '../../../src/rollout/recorder.ts';
import type { PolicyReport, ReportParts } from '../../../src/rollout/report.ts';
import { wouldDenyRatios } from '../../../src/rollout/summarize.ts';
import type { CheckRecord } from '../../../src/telemetry/check-observer.ts';
import { NOW, policy, policyTable, type RequestFields } from '../../support/check.ts';
import { DEVICE_KEY, recordOf, reportOf, THRESHOLDS } from '../../support/rollout.ts';
import { mintToken } from '../../support/token.ts';

const VERIFIED = { 'approov-token': mintToken({ exp: NOW + 1e6, did: 'a' }) };
const NO_TOKEN = {};

/** So many checks with these headers, at a time before now. */
interface Traffic {
  readonly headers: RequestFields['headers'];
  readonly secondsAgo?: number;
  readonly count?: number;
}

const TRIAL = {
  mode: 'enforce',
  since: '2026-11-24T05:58:00.000Z',
  until: '2026-11-24T06:30:00.000Z',
  reason: 'trial',
};

const APP_VERSION = { header: 'x-app-version', known: ['7.2', '7.3'] };

function policyReport(traffic: readonly Traffic[], parts: Partial<ReportParts> = {}): PolicyReport {
  const recorder = createRolloutRecorder(NOW - 86_400);
  recorder.useDeviceKey(DEVICE_KEY);
  recorder.configure({ policies: new Map() }, parts.settings?.appVersion, NOW - 86_400);
  const inOrder = traffic.toSorted((one, other) => (other.secondsAgo ?? 0) - (one.secondsAgo ?? 0));
  for (const { headers = {}, secondsAgo = 0, count = 1 } of inOrder) {
    const record: CheckRecord = recordOf({ headers }, NOW - secondsAgo);
    for (let check = 0; check < count; check++) recorder.checkDone(record);
  }
  const [policy] = reportOf({ snapshot: recorder.snapshot(), ...parts }).policies;
  if (policy === undefined) throw new Error('no policy');
  return policy;
}

describe('the groups', () => {
  test('cover every reason, and only unverified checks are in one', () => {
    expect(new Set(OUTCOMES.map(reasonOf))).toEqual(new Set(REASON_NAMES));
    for (const outcome of OUTCOMES) {
      const { verdict } = REASONS[reasonOf(outcome)];
      expect(groupOf(outcome) in GROUPS ? 'unverified' : groupOf(outcome)).toBe(verdict);
    }
  });

  test('are each used by some reason', () => {
    const used = new Set<string>(OUTCOMES.map(groupOf));
    expect(Object.keys(GROUPS).filter((group) => !used.has(group))).toEqual([]);
  });
});

describe('the report of a policy', () => {
  // NOW is at a full hour, so the current minute and hour have just begun.
  test('counts the checks of 5 minutes, an hour and a day', () => {
    const { windows } = policyReport([
      { headers: VERIFIED, count: 4 },
      { headers: NO_TOKEN, secondsAgo: 300 },
      { headers: NO_TOKEN, secondsAgo: 301 },
      { headers: NO_TOKEN, secondsAgo: 3600 },
      { headers: NO_TOKEN, secondsAgo: 3601 },
      { headers: NO_TOKEN, secondsAgo: 86_400 },
      { headers: NO_TOKEN, secondsAgo: 86_401 },
    ]);
    const refused = Object.entries(windows).map(([name, window]) => [name, window.refused, window.judged]);
    expect(refused).toEqual([
      ['5m', 1, 5],
      ['1h', 3, 7],
      ['24h', 5, 9],
    ]);
  });

  test('judges the devices that a share enforces and those that it observes alike', () => {
    const under = policy({ mode: 'enforce', enforcePercent: 50 });
    const recorder = createRolloutRecorder(NOW - 86_400);
    const modes = new Set<string | undefined>();
    for (let device = 0; device < 20; device++) {
      const expired = mintToken({ exp: NOW - 60, did: `phone-${device}` });
      const record = recordOf({ headers: { 'approov-token': expired } }, NOW, under);
      modes.add(record.decision.policy?.mode);
      recorder.checkDone(record);
    }
    expect(modes).toEqual(new Set(['enforce', 'observe']));
    const [report] = reportOf({ snapshot: recorder.snapshot(), policyTable: policyTable(under) }).policies;
    expect(report).toMatchObject({
      mode: 'enforce',
      enforce_percent: 50,
      mode_in_effect: 'enforce and observe',
      windows: { '24h': { judged: 20, refused: 20, reasons: { token_expired: 20 } } },
    });
    expect(report?.assessment.sentence).toContain('enforcing denies 20 of 20 checks (100 %)');
  });

  test.each([
    [{ mode: 'enforce', enforcePercent: 0 }, 'observe'],
    [{ mode: 'enforce', enforcePercent: 100 }, 'enforce'],
    [{ mode: 'limit' }, 'limit'],
  ] as const)('has the mode in effect under %j', (fields, mode) => {
    const [report] = reportOf({ policyTable: policyTable(policy(fields)) }).policies;
    expect(report?.mode_in_effect).toBe(mode);
  });

  test('has the mode of an override, which is for all devices', () => {
    const under = policyTable(policy({ enforcePercent: 5 }), [], [policy({ name: 'pay', mode: 'limit' })]);
    const { policies } = reportOf({ policyTable: under, overrides: new Map([['default', TRIAL]]) });
    expect(policies.map((each) => [each.name, each.mode_in_effect, each.override])).toEqual([
      ['default', 'enforce', { ...TRIAL, seconds_left: 1800 }],
      ['pay', 'limit', null],
    ]);
  });

  test.each<[what: string, before: Partial<Policy>, after: Partial<Policy>, began: string, since: string]>([
    ['was added', { name: 'other' }, {}, 'added', 'the policy was added'],
    ['was off', { mode: 'off' }, { mode: 'observe' }, 'left_off', 'the policy was off'],
    ['was changed', {}, { clockToleranceSeconds: 60 }, 'changed', 'the policy was changed'],
  ])(
    'cannot tell after much traffic in an hour since the policy %s',
    (_what, before, after, began, since) => {
      const recorder = createRolloutRecorder(NOW - 30 * 3600);
      recorder.configure(policyTable(policy(before)), undefined, NOW - 30 * 3600);
      const under = policy(after);
      recorder.configure(policyTable(under), undefined, NOW - 3600);
      const record = recordOf({ headers: VERIFIED }, NOW - 1800, under);
      for (let check = 0; check < 10_000; check++) recorder.checkDone(record);
      const { policies, covers } = reportOf({
        snapshot: recorder.snapshot(),
        policyTable: policyTable(under),
      });
      expect(covers.seconds).toBe(30 * 3600);
      expect(policies[0]?.counted).toEqual({ since: '2026-11-24T05:00:00.000Z', seconds: 3600, began });
      expect(policies[0]?.assessment.sentence).toContain(
        `Can’t tell: counted for 1 h since ${since}, less than 24 h; so far`,
      );
    },
  );

  test('counts a policy that is off from the beginning of its override only', () => {
    const off = policy({ mode: 'off' });
    const recorder = createRolloutRecorder(NOW - 30 * 3600);
    recorder.configure(policyTable(off), undefined, NOW - 30 * 3600);
    const record = recordOf({ headers: VERIFIED }, NOW - 60, policy({ mode: 'observe' }));
    for (let check = 0; check < 10_000; check++) recorder.checkDone(record);
    const [report] = reportOf({
      snapshot: recorder.snapshot(),
      policyTable: policyTable(off),
      overrides: new Map([['default', { ...TRIAL, mode: 'observe' }]]),
    }).policies;
    expect(report?.assessment.sentence).toMatch(
      /^Can’t tell: counted for 2 min since the override began, less than 24 h;/,
    );
  });

  test('counts on under an override of a policy that is not off', () => {
    const snapshot = { sinceSeconds: NOW - 86_400, policies: {} };
    const [report] = reportOf({ snapshot, overrides: new Map([['default', TRIAL]]) }).policies;
    expect(report?.counted).toEqual({ since: '2026-11-23T06:00:00.000Z', seconds: 86_400, began: 'start' });
  });

  test('has a bar for each interval, in order', () => {
    const { windows } = policyReport([
      { headers: NO_TOKEN, secondsAgo: 7200, count: 2 },
      { headers: VERIFIED, secondsAgo: 7200 },
    ]);
    const { intervals } = windows['24h'];
    expect(intervals).toHaveLength(25);
    expect(intervals.at(-1)?.start).toBe('2026-11-24T06:00:00.000Z');
    expect(intervals.at(-3)).toEqual({
      start: '2026-11-24T04:00:00.000Z',
      judged: 3,
      verified: 1,
      refused: 2,
      groups: { no_sdk: 2 },
    });
    expect(windows['5m'].intervals).toHaveLength(6);
    expect(windows['1h'].intervals).toHaveLength(61);
  });

  test('names the worst hour, but not one with little traffic', () => {
    const { worst_hour: worst } = policyReport([
      { headers: VERIFIED, secondsAgo: 3600, count: 990 },
      { headers: NO_TOKEN, secondsAgo: 3600, count: 10 },
      { headers: VERIFIED, secondsAgo: 7200, count: 970 },
      { headers: NO_TOKEN, secondsAgo: 7200, count: 30 },
      { headers: NO_TOKEN, secondsAgo: 10_800, count: 19 },
    ]);
    expect(worst).toMatchObject({ start: '2026-11-24T04:00:00.000Z', judged: 1000, refused: 30 });
  });

  test('distinguishes the SDK without a token from no SDK, though the reason is the same', () => {
    const { windows, sdk_status: words } = policyReport([
      { headers: NO_TOKEN, count: 3 },
      { headers: { 'approov-status': 'no_network' }, count: 2 },
    ]);
    expect(windows['24h'].groups).toEqual({ no_sdk: 3, sdk_without_token: 2 });
    expect(windows['24h'].reasons).toEqual({ missing_approov_token: 5 });
    expect(words).toEqual({ no_network: 2 });
  });

  test('counts one device that retries as one', () => {
    const { devices } = policyReport([
      { headers: VERIFIED },
      { headers: { 'x-envoy-external-address': '192.0.2.1' }, count: 500 },
    ]);
    expect(devices).toEqual({ verified: 1, refused: 1, groups: { no_sdk: 1 } });
  });

  test('judges the newest version, and lists the newest first', () => {
    const settings = {
      ...THRESHOLDS,
      minChecks: 1,
      minHours: 0,
      maxWouldDenyPercent: 100,
      maxWorstHourPercent: 100,
      appVersion: APP_VERSION,
    };
    const { app_versions: versions, assessment } = policyReport(
      [
        { headers: { ...VERIFIED, 'x-app-version': '7.3' }, count: 9 },
        { headers: { 'x-app-version': '7.3' } },
        { headers: { ...VERIFIED, 'x-app-version': '7.2' } },
      ],
      { settings },
    );
    expect(versions).toEqual([
      { version: '7.3', judged: 10, verified: 9 },
      { version: '7.2', judged: 1, verified: 1 },
      { version: 'other', judged: 0, verified: 0 },
    ]);
    expect(assessment.sentence).toBe(
      'Not yet: app version 7.3 has 9 of 10 checks (90 %) verified, less than 99.9 %.',
    );
  });

  test('says what enforcing costs per minute: on average over an hour, and at worst', () => {
    const { refused_per_minute: perMinute } = policyReport([
      { headers: NO_TOKEN, secondsAgo: 120, count: 20 },
      { headers: NO_TOKEN, secondsAgo: 600, count: 10 },
    ]);
    expect(perMinute).toEqual({ mean: 0.5, worst: 20 });
  });

  test('does not dilute the cost by minutes before the start', () => {
    const recorder = createRolloutRecorder(NOW - 120);
    for (let check = 0; check < 30; check++) recorder.checkDone(recordOf({}));
    const [policy] = reportOf({ snapshot: { ...recorder.snapshot(), sinceSeconds: NOW - 120 } }).policies;
    expect(policy?.refused_per_minute).toEqual({ mean: 15, worst: 30 });
  });

  test.each<[what: string, late: number, count: number, hint: string | null]>([
    [
      'a little late',
      30,
      20,
      '100 % of expired tokens missed by less than 60 s: check clocks, then clockToleranceSeconds',
    ],
    ['very late', 600, 20, null],
    ['a little late, but few', 30, 19, null],
  ])('hints at a clock for expired tokens that are %s', (_what, late, count, hint) => {
    const headers = { 'approov-token': mintToken({ exp: NOW - late }) };
    expect(policyReport([{ headers, count }]).clock_hint).toBe(hint);
  });

  test('hints at a clock if at least half of the expired tokens are a little late', () => {
    const expired = (late: number): RequestFields['headers'] => ({
      'approov-token': mintToken({ exp: NOW - late }),
    });
    const mixed = (slightly: number): string | null =>
      policyReport([
        { headers: expired(59), count: slightly },
        { headers: expired(61), count: 50 },
      ]).clock_hint;
    expect(mixed(50)).toMatch(/^50 % of expired tokens/);
    expect(mixed(49)).toBeNull();
  });
});

test('the would-deny ratio has a value for each window with a judged check', () => {
  const recorder = createRolloutRecorder(NOW);
  recorder.checkDone(recordOf({}, NOW - 1800));
  recorder.checkDone(recordOf({ headers: VERIFIED }, NOW - 7200));
  expect(wouldDenyRatios(recorder.snapshot(), ['default', 'quiet'], NOW)).toEqual([
    { policy: 'default', window: '5m', ratio: undefined },
    { policy: 'default', window: '1h', ratio: 1 },
    { policy: 'default', window: '24h', ratio: 0.5 },
    { policy: 'quiet', window: '5m', ratio: undefined },
    { policy: 'quiet', window: '1h', ratio: undefined },
    { policy: 'quiet', window: '24h', ratio: undefined },
  ]);
});
