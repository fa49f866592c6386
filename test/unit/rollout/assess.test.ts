/** Tests when a policy is called safe, not yet safe, or impossible to judge, at the edge of each threshold. */
import { describe, expect, test } from 'vitest';
import {
  type AssessmentKind,
  assess,
  type Evidence,
  type HourEvidence,
} from '../../../src/rollout/assess.ts';
import { NOW } from '../../support/check.ts';
import { THRESHOLDS } from '../../support/rollout.ts';

const START = Math.floor(NOW / 3600) * 3600;

/** A day of 24 hours with these counts each; the latest hours may differ. */
function day(judged: number, refused: number, latest: readonly Partial<HourEvidence>[] = []): HourEvidence[] {
  return Array.from({ length: 24 }, (_, index) => ({
    startSeconds: START - 3600 * index,
    judged,
    refused,
    ...latest[index],
  }));
}

function evidence(fields: Partial<Evidence> = {}): Evidence {
  const hours = fields.hours ?? day(1000, 0);
  const sum = (field: 'judged' | 'refused'): number => hours.reduce((total, hour) => total + hour[field], 0);
  return {
    mode: 'observe',
    coveredSeconds: 24 * 3600,
    began: 'start',
    judged: sum('judged'),
    refused: sum('refused'),
    internalErrors: 0,
    hours,
    failingReloads: [],
    newestVersion: undefined,
    ...fields,
  };
}

function kindOf(fields: Partial<Evidence>): AssessmentKind {
  return assess(evidence(fields), THRESHOLDS).kind;
}

function sentenceOf(fields: Partial<Evidence>): string {
  return assess(evidence(fields), THRESHOLDS).sentence;
}

describe('the default thresholds', () => {
  test('call a quiet day safe', () => {
    expect(assess(evidence(), THRESHOLDS)).toEqual({
      kind: 'safe',
      sentence: 'Safe to enforce: it refused 0 of 24,000 checks (0 %) in the last 24 h.',
      thresholds:
        'Safe means: at least 24 h and 10,000 checks, at most 0.1 % refused and 1 % in any hour with at least 1 % of the checks, no internal error, no failing reload.',
    });
  });

  test.each<[what: string, kind: AssessmentKind, fields: Partial<Evidence>]>([
    ['24 h', 'safe', { coveredSeconds: 86_400 }],
    ['a second less than 24 h', 'cannot_tell', { coveredSeconds: 86_399 }],
    ['10,000 checks', 'safe', { judged: 10_000 }],
    ['9,999 checks', 'cannot_tell', { judged: 9999 }],
    ['0.1 % denied', 'safe', { judged: 100_000, refused: 100 }],
    ['one check more than 0.1 % denied', 'not_yet', { judged: 100_000, refused: 101 }],
    ['an hour with 1 % denied', 'safe', { hours: day(1000, 0, [{ refused: 10 }]) }],
    ['an hour with one check more than 1 % denied', 'not_yet', { hours: day(1000, 0, [{ refused: 11 }]) }],
    ['no internal error', 'safe', { internalErrors: 0 }],
    ['an internal error', 'not_yet', { internalErrors: 1 }],
    ['a failing reload', 'cannot_tell', { failingReloads: ['config'] }],
    ['99.9 % of the newest version verified', 'safe', version(1000, 999)],
    ['998 of 1,000 checks of the newest version verified', 'not_yet', version(1000, 998)],
    ['no check of the newest version', 'cannot_tell', version(0, 0)],
    ['99 checks of the newest version, all verified', 'cannot_tell', version(99, 99)],
    ['99 checks of the newest version, none verified', 'cannot_tell', version(99, 0)],
    ['100 checks of the newest version, all verified', 'safe', version(100, 100)],
    ['100 checks of the newest version, all but one verified', 'not_yet', version(100, 99)],
    ['a policy that is off', 'cannot_tell', { mode: 'off' }],
  ])('call %s %s', (_what, kind, fields) => {
    expect(kindOf(fields)).toBe(kind);
  });

  function version(judged: number, verified: number): Partial<Evidence> {
    return { newestVersion: { version: '7.3', judged, verified } };
  }

  test('ignore a night hour with less than 1 % of the traffic, whatever was denied in it', () => {
    const busy = day(1000, 0, [{ judged: 232, refused: 20 }]);
    const total = busy.reduce((sum, { judged }) => sum + judged, 0);
    expect(total).toBe(23_232);
    // 232.32 checks are 1 %.
    expect(kindOf({ hours: busy, judged: 23_232, refused: 20 })).toBe('safe');
    expect(kindOf({ hours: busy, judged: 23_200, refused: 20 })).toBe('not_yet');
  });

  test('call much denied traffic not yet safe, before the window is filled', () => {
    const fields = { coveredSeconds: 7200, judged: 20_000, refused: 8000 };
    expect(sentenceOf(fields)).toBe(
      'Not yet: enforcing denies 8,000 of 20,000 checks (40 %), more than 0.1 %; counted for 2 h, less than 24 h.',
    );
  });
});

describe('the sentence', () => {
  test('names everything that is missing, and what is known so far', () => {
    const fields = {
      coveredSeconds: 5400,
      judged: 500,
      refused: 3,
      failingReloads: ['config', 'jwks'],
      newestVersion: { version: '7.3', judged: 0, verified: 0 },
    };
    expect(sentenceOf(fields)).toBe(
      'Can’t tell: 500 checks judged in the last 24 h, fewer than 10,000; counted for 1 h 30 min, less than 24 h; config and jwks cannot be reloaded, so the last good state is in use; 0 checks of app version 7.3, fewer than 100; so far enforcing denies 3 of 500 checks (0.6 %).',
    );
  });

  test('says since when a policy has been counted, if it is not since the start', () => {
    expect(sentenceOf({ coveredSeconds: 120, began: 'changed' })).toMatch(
      /^Can’t tell: counted for 2 min since the policy was changed, less than 24 h;/,
    );
  });

  test('names everything that speaks against it', () => {
    const fields = {
      hours: day(1000, 1, [{}, {}, { judged: 1000, refused: 250 }]),
      internalErrors: 2,
      newestVersion: { version: '7.3', judged: 400, verified: 390 },
    };
    expect(sentenceOf(fields)).toBe(
      `Not yet: enforcing denies 273 of 24,000 checks (1.1 %), more than 0.1 %; in the hour from ${new Date((START - 7200) * 1000).toISOString().slice(11, 16)} UTC, 250 of 1,000 checks (25 %), more than 1 %; 2 internal errors, more than 0; app version 7.3 has 390 of 400 checks (97.5 %) verified, less than 99.9 %.`,
    );
  });

  test('of a policy that is enforced does not claim that it was all day', () => {
    expect(sentenceOf({ mode: 'enforce', hours: day(1000, 1, [{ refused: 0 }]), refused: 23 })).toBe(
      'Safe: the policy is enforced, and refused 23 of 24,000 checks (0.1 %) in the last 24 h, and at most 0.1 % in an hour.',
    );
    expect(sentenceOf({ mode: 'enforce', refused: 240 })).toBe(
      'Not yet: enforcing denies 240 of 24,000 checks (1 %), more than 0.1 %.',
    );
  });

  test('says how many checks of the newest version are missing', () => {
    expect(sentenceOf({ newestVersion: { version: '7.4', judged: 1, verified: 1 } })).toMatch(
      /^Can’t tell: 1 check of app version 7\.4, fewer than 100;/,
    );
  });

  test('of a policy that is off says what to do', () => {
    expect(sentenceOf({ mode: 'off' })).toBe(
      'Can’t tell: the policy is off, so no check is judged; set it to observe.',
    );
  });

  test('states thresholds that were configured', () => {
    const thresholds = { ...THRESHOLDS, minHours: 0.5, minChecks: 1, maxInternalErrors: 3 };
    const newestVersion = { version: '7.3', judged: 10, verified: 10 };
    expect(assess(evidence({ newestVersion }), thresholds).thresholds).toBe(
      'Safe means: at least 30 min and 1 check, at most 0.1 % refused and 1 % in any hour with at least 1 % of the checks, at most 3 internal errors, no failing reload, at least 1 check of app version 7.3 and 99.9 % of them verified.',
    );
  });
});
