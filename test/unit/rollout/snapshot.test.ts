/** Tests how the counts of several processes are added up. */
import { describe, expect, test } from 'vitest';
import { Sketch } from '../../../src/rollout/sketch.ts';
import {
  type HourSnapshot,
  mergeSnapshots,
  type PolicySnapshot,
  type RolloutSnapshot,
} from '../../../src/rollout/snapshot.ts';
import { NOW } from '../../support/check.ts';

const HOUR = Math.floor(NOW / 3600);
const MINUTE = Math.floor(NOW / 60);

function hour(number: number, fields: Partial<HourSnapshot> = {}): HourSnapshot {
  const none = {
    outcomes: {},
    words: {},
    overshoots: {},
    judgedVersions: {},
    verifiedVersions: {},
    devices: {},
  };
  return { number, ...none, ...fields };
}

const PLAIN: PolicySnapshot = { rules: '', restart: null, minutes: [], hours: [] };

function snapshot(policies: Record<string, Partial<PolicySnapshot>>, sinceSeconds = NOW): RolloutSnapshot {
  const filled = Object.entries(policies).map(([name, policy]) => [name, { ...PLAIN, ...policy }]);
  return { sinceSeconds, policies: Object.fromEntries(filled) };
}

function devicesOf(...hashes: readonly number[]): string {
  const sketch = new Sketch();
  for (const hash of hashes) sketch.add(hash);
  return sketch.encode();
}

describe('the sum of snapshots', () => {
  test('counts from the earliest start', () => {
    expect(mergeSnapshots([snapshot({}, NOW - 5), snapshot({}, NOW - 9)], NOW).sinceSeconds).toBe(NOW - 9);
  });

  test('adds what was counted in the same minute and hour, and keeps the rest', () => {
    const one = snapshot({
      a: {
        minutes: [
          { number: MINUTE, outcomes: { ok: 1, token_expired: 2 } },
          { number: MINUTE - 1, outcomes: { ok: 4 } },
        ],
        hours: [
          hour(HOUR, {
            words: { rejected: 1 },
            judgedVersions: { '7.3': 5 },
            verifiedVersions: { '7.3': 4 },
          }),
        ],
      },
    });
    const other = snapshot({
      a: {
        minutes: [{ number: MINUTE, outcomes: { ok: 10 } }],
        hours: [
          hour(HOUR, {
            words: { rejected: 2, other: 1 },
            judgedVersions: { '7.3': 1 },
            overshoots: { longer: 7 },
          }),
        ],
      },
      b: { hours: [hour(HOUR - 1, { outcomes: { ok: 3 } })] },
    });
    expect(mergeSnapshots([one, other], NOW).policies).toEqual({
      a: {
        ...PLAIN,
        minutes: [
          { number: MINUTE - 1, outcomes: { ok: 4 } },
          { number: MINUTE, outcomes: { ok: 11, token_expired: 2 } },
        ],
        hours: [
          hour(HOUR, {
            words: { rejected: 3, other: 1 },
            judgedVersions: { '7.3': 6 },
            verifiedVersions: { '7.3': 4 },
            overshoots: { longer: 7 },
          }),
        ],
      },
      b: { ...PLAIN, hours: [hour(HOUR - 1, { outcomes: { ok: 3 } })] },
    });
  });

  test('dates the reset of a policy by the last process that made it, also after a process restarted', () => {
    const changed = (atSeconds: number) =>
      snapshot({ a: { rules: 'new', restart: { cause: 'changed', atSeconds } } }, NOW - 86_400);
    const restarted = snapshot({ a: { rules: 'new' } }, NOW - 5);
    const merged = mergeSnapshots([changed(NOW - 62), changed(NOW - 60), restarted], NOW);
    expect(merged.sinceSeconds).toBe(NOW - 86_400);
    expect(merged.policies['a']?.restart).toEqual({ cause: 'changed', atSeconds: NOW - 60 });
  });

  test('leaves out what a process that exited before a policy was changed has counted of it', () => {
    const counted = (ok: number) => ({ minutes: [{ number: MINUTE, outcomes: { ok } }] });
    const exited = snapshot(
      { a: { rules: 'old', ...counted(100) }, b: { rules: 'same', ...counted(7) } },
      NOW - 86_400,
    );
    const running = snapshot(
      {
        a: { rules: 'new', restart: { cause: 'changed', atSeconds: NOW - 60 }, ...counted(2) },
        b: { rules: 'same', ...counted(1) },
      },
      NOW - 86_400,
    );
    const { policies } = mergeSnapshots([exited, running], NOW);
    expect(policies['a']).toMatchObject({ rules: 'new', ...counted(2) });
    expect(policies['b']).toMatchObject({ restart: null, ...counted(8) });
  });

  test('counts a device that two processes saw once', () => {
    const each = [devicesOf(1, 2 ** 31), devicesOf(1, 2 ** 30)].map((verified) =>
      snapshot({ a: { hours: [hour(HOUR, { devices: { verified } })] } }),
    );
    const [merged] = mergeSnapshots(each, NOW).policies['a']?.hours ?? [];
    expect(Sketch.decode(merged?.devices['verified'] ?? '').estimate()).toBe(3);
  });

  test('leaves out what is older than the longest window, or in the future', () => {
    const numbers = [HOUR - 25, HOUR - 24, HOUR, HOUR + 1];
    const merged = mergeSnapshots([snapshot({ a: { hours: numbers.map((number) => hour(number)) } })], NOW);
    expect(merged.policies['a']?.hours.map(({ number }) => number)).toEqual([HOUR - 24, HOUR]);
    const minutes = [MINUTE - 61, MINUTE - 60, MINUTE, MINUTE + 1].map((number) => ({
      number,
      outcomes: {},
    }));
    const recent = mergeSnapshots([snapshot({ a: { minutes } })], NOW).policies['a']?.minutes;
    expect(recent?.map(({ number }) => number)).toEqual([MINUTE - 60, MINUTE]);
  });
});
