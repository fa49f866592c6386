/** Tests `rollout --prometheus` against a real Prometheus that has a day of a fleet’s metrics. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createScratch } from '../support/checked-service.ts';
import { fleetDay } from '../support/fleet-day.ts';
import { runInProcess } from '../support/in-process.ts';
import { PROMETHEUS, PROMTOOL, RULES } from '../support/prometheus.ts';
import { type RunningPrometheus, startPrometheus } from '../support/prometheus-server.ts';
import { unmet } from '../support/requirement.ts';

const withoutPrometheus = await unmet(
  [PROMETHEUS, PROMTOOL],
  'that rollout --prometheus assesses a fleet as documented',
);

const scratch = createScratch('fleet');
afterAll(() => scratch.remove());

describe.skipIf(withoutPrometheus !== '')(`rollout --prometheus${withoutPrometheus}`, () => {
  let prometheus: RunningPrometheus;

  beforeAll(async () => {
    // The last scrape was a moment ago.
    const now = Math.floor(Date.now() / 1000) - 5;
    const past = fleetDay(
      now,
      [
        // From two instances each.
        { job: 'a', policy: 'default', mode: 'observe', rate: () => ({ ok: 10, token_expired: 0.005 }) },
        { job: 'a', policy: 'broken', mode: 'observe', rate: () => ({ ok: 19, invalid_token_signature: 1 }) },
        // A night hour: much of very little is denied.
        {
          job: 'a',
          policy: 'night',
          mode: 'limit',
          rate: (ago) =>
            ago >= 300 && ago < 420 ? { ok: 0.3, token_expired: 0.1 } : { ok: 30, token_expired: 0 },
        },
        {
          job: 'a',
          policy: 'trouble',
          mode: 'enforce',
          rate: (ago) => ({ ok: 100, token_expired: ago >= 120 && ago < 180 ? 2 : 0 }),
        },
        {
          job: 'a',
          policy: 'faulty',
          mode: 'observe',
          rate: (ago) => ({ ok: 20, internal_error: ago === 60 ? 1 : 0 }),
        },
        { job: 'a', policy: 'young', mode: 'observe', minutes: 180, rate: () => ({ ok: 100 }) },
        { job: 'a', policy: 'opened', mode: 'observe', minutes: 60, wasOff: true, rate: () => ({ ok: 100 }) },
        { job: 'a', policy: 'quiet', mode: 'observe', rate: () => ({ ok: 1 }) },
        { job: 'a', policy: 'open', mode: 'off', rate: () => ({}) },
        { job: 'b', policy: 'default', mode: 'observe', rate: () => ({ ok: 10 }) },
        { job: 'b', policy: 'default', mode: 'enforce', minutes: 1, rate: () => ({ ok: 10 }) },
      ],
      [{ job: 'b', source: 'keys', minutesAgo: 600 }],
    );
    const none = { targets: [] };
    prometheus = await startPrometheus({ 'approov-ext-authz': none, envoy: none }, RULES, past);
  });
  afterAll(() => prometheus?.stop());

  async function ask(...args: readonly string[]) {
    return runInProcess(['rollout', '--prometheus', prometheus.origin, ...args]);
  }

  async function assessmentOf(policy: string, job = 'a') {
    const { code, stdout } = await ask('--match', `job="${job}"`, '--policy', policy, '--json');
    const { kind, sentence } = JSON.parse(stdout).policies[0].assessment as {
      kind: string;
      sentence: string;
    };
    return { code, kind, sentence: sentence.replace(/\d\d:\d\d UTC/, 'HH:MM UTC') };
  }

  test.each<[policy: string, code: number, kind: string, sentence: RegExp]>([
    [
      'default',
      0,
      'safe',
      /^Safe to enforce: it refused 1[45] of 28,\d+ checks \(0.05 %\) in the last 24 h, and at most 0\.\d+ % in an hour\.$/,
    ],
    [
      'broken',
      4,
      'not_yet',
      /^Not yet: enforcing denies 2,8\d\d of 57,\d+ checks \(5 %\), more than 0.1 %; in the hour from HH:MM UTC, 1\d\d of 2,\d+ checks \(5(\.\d)? %\), more than 1 %\.$/,
    ],
    ['night', 0, 'safe', /^Safe to enforce: it refused 24 of 79,\d+ checks \(0.03 %\)/],
    [
      'trouble',
      4,
      'not_yet',
      /^Not yet: in the hour from HH:MM UTC, \d+ of 12,\d+ checks \([12](\.\d+)? %\), more than 1 %\.$/,
    ],
    ['faulty', 4, 'not_yet', /^Not yet: 2 internal errors, more than 0\.$/],
    [
      'young',
      5,
      'cannot_tell',
      /^Can’t tell: counted for [23] h( \d+ min)?, less than 24 h; so far enforcing denies 0 of 3\d,\d+ checks \(0 %\)\.$/,
    ],
    [
      'opened',
      5,
      'cannot_tell',
      /^Can’t tell: counted for (59 min|1 h), less than 24 h; so far enforcing denies 0 of 1\d,\d+ checks \(0 %\)\.$/,
    ],
    [
      'quiet',
      5,
      'cannot_tell',
      /^Can’t tell: 2,8\d\d checks judged in the last 24 h, fewer than 10,000; so far enforcing denies 0 of 2,8\d\d checks \(0 %\)\.$/,
    ],
    ['open', 5, 'cannot_tell', /^Can’t tell: the policy is off/],
  ])('assesses policy %s: exit %d', async (policy, code, kind, sentence) => {
    expect(await assessmentOf(policy)).toEqual({ code, kind, sentence: expect.stringMatching(sentence) });
  });

  test('cannot tell while a reload fails on an instance, and names each mode that is in use', async () => {
    expect(await assessmentOf('default', 'b')).toMatchObject({
      code: 5,
      sentence: expect.stringMatching(
        /^Can’t tell: keys cannot be reloaded, so the last good state is in use; so far/,
      ),
    });
    const { stdout } = await ask('--match', 'job="b"');
    expect(stdout).toContain('\nPolicy default, mode enforce and observe\n');
  });

  test('prints what it counted over all instances, by reason', async () => {
    const { code, stdout } = await ask('--match', 'job="a"', '--policy', 'broken');
    expect(code).toBe(4);
    expect(stdout).toMatch(/^approov-ext-authz \S+ on 2 instances, counted for 24 h by Prometheus\n/);
    expect(stdout).toMatch(
      /^ {2}54,\d+ of 57,\d+ checks verified in 24 h \(95 %\)\n {2}refused +5 min +1 h +24 h$/m,
    );
    expect(stdout).toMatch(/^ {2}invalid_token_signature +\d+ +1\d\d +2,8\d\d$/m);
  });

  test('uses the thresholds of the configuration, whatever else is wrong in it', async () => {
    const config = scratch.write('config.yaml', 'rollout: {minChecks: 1000}\npolicies: 7\n');
    expect((await ask('--match', 'job="a"', '--policy', 'quiet', '--config', config)).code).toBe(0);
  });

  test.each<[args: string[], code: number, error: string]>([
    [['--policy', 'defualt'], 2, 'approov-ext-authz: --policy: no such policy; did you mean default?'],
    [['--match', 'job=a'], 2, 'approov-ext-authz: --match: must be label matchers such as'],
    [['--match', 'job="a"} or up{job="b"'], 2, 'approov-ext-authz: --match: must be label matchers such as'],
    [
      ['--match', 'job="nowhere"'],
      1,
      'ORIGIN: no approov_policy_mode with job="nowhere"; do the labels fit?',
    ],
  ])('answers %j with exit %d', async (args, code, error) => {
    const finished = await ask(...args);
    expect(finished).toMatchObject({ code, stdout: '' });
    expect(finished.stderr.replace(prometheus.origin, 'ORIGIN')).toContain(error);
  });
});
