/** Tests what an operator's request to override a mode does: the answer, the log, the metrics, and the notes. */
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createOverrideControl } from '../../../src/server/override-control.ts';
import type { ConfigStore } from '../../../src/sources/config-store.ts';
import { policy, policyTable } from '../../support/check.ts';

const NOW = new Date('2026-11-24T06:00:00Z');
const SET = { kind: 'set', policy: 'default', mode: 'observe', seconds: 90, reason: 'locked out' } as const;

let clockMs: number;
let table = policyTable(policy());
let lines: Record<string, unknown>[];
let registry: Registry;
let changes: number;
let control: ReturnType<typeof createOverrideControl>;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: NOW });
  clockMs = 5000;
  changes = 0;
  lines = [];
  registry = new Registry();
  table = policyTable(policy({ enforcePercent: 10 }), [], [policy({ name: 'open', mode: 'off' })]);
  control = createOverrideControl({
    configStore: { current: () => ({ config: { policyTable: table } }) } as Pick<ConfigStore, 'current'>,
    log: { warn: (fields, msg) => void lines.push({ ...fields, msg }) },
    registry,
    nowMs: () => clockMs,
    onChange: () => changes++,
  });
});
afterEach(() => void vi.useRealTimers());

function pass(ms: number): void {
  clockMs += ms;
  vi.advanceTimersByTime(ms);
}

async function series(): Promise<readonly string[]> {
  const text = await registry.metrics();
  return text.split('\n').filter((line) => /^approov.* [^0]/.test(line));
}

const ACTIVE = {
  policy: 'default',
  mode: 'observe',
  configured_mode: 'enforce',
  reason: 'locked out',
  started_at: '2026-11-24T06:00:00.000Z',
  ends_at: '2026-11-24T06:01:30.000Z',
  seconds_left: 90,
};

test('an override that is set is answered, logged, counted and listed until its end', async () => {
  const done = { kind: 'done', policy: 'default', configured_mode: 'enforce', active: ACTIVE, ended: null };
  expect(control.apply(SET)).toEqual(done);
  expect(changes).toBe(1);
  expect(await series()).toEqual([
    'approov_override_active{policy="default",mode="observe"} 1',
    'approov_overrides_total{policy="default",mode="observe"} 1',
  ]);
  pass(29_500);
  expect(control.active()).toEqual([{ ...ACTIVE, seconds_left: 61 }]);
  expect([...control.notes()]).toEqual([
    ['policies.default.mode', 'overridden by observe until 2026-11-24T06:01:30.000Z'],
  ]);
  pass(60_500);
  expect(changes).toBe(2);
  expect(control.active()).toEqual([]);
  expect([...control.notes()]).toEqual([]);
  expect(await series()).toEqual(['approov_overrides_total{policy="default",mode="observe"} 1']);
  const fields = { policy: 'default', mode: 'observe', configured_mode: 'enforce' };
  expect(lines).toEqual([
    {
      ...fields,
      ends_at: '2026-11-24T06:01:30.000Z',
      by: 'local admin',
      reason: 'locked out',
      msg: 'override set',
    },
    { ...fields, cause: 'expired', msg: 'override ended' },
  ]);
});

test('an override that replaces another names both', () => {
  control.apply(SET);
  pass(10_000);
  const answer = control.apply({ ...SET, mode: 'limit', seconds: 60, reason: 'less' });
  expect(answer).toMatchObject({
    active: { mode: 'limit', reason: 'less', seconds_left: 60 },
    ended: { mode: 'observe', reason: 'locked out', seconds_left: 80 },
  });
  expect(lines.map(({ msg, mode, cause }) => [msg, mode, cause])).toEqual([
    ['override set', 'observe', undefined],
    ['override ended', 'observe', 'replaced'],
    ['override set', 'limit', undefined],
  ]);
});

test('clearing ends an override, and without one does nothing', () => {
  control.apply(SET);
  const clear = { kind: 'clear', policy: 'default' } as const;
  expect(control.apply(clear)).toMatchObject({ kind: 'done', active: null, ended: { mode: 'observe' } });
  expect(control.apply(clear)).toEqual({
    kind: 'done',
    policy: 'default',
    configured_mode: 'enforce',
    active: null,
    ended: null,
  });
  expect(lines.map(({ cause }) => cause)).toEqual([undefined, 'cleared']);
});

test('a policy that is not configured is refused, also to clear', () => {
  const refused = { kind: 'unknown_policy', known: ['default', 'open'] };
  expect(control.apply({ ...SET, policy: 'defualt' })).toEqual(refused);
  expect(control.apply({ kind: 'clear', policy: 'toString' })).toEqual(refused);
  expect([changes, lines]).toEqual([0, []]);
});

test('every policy has its series from the start, and a removed one no active override', async () => {
  const text = await registry.metrics();
  for (const metric of ['approov_override_active', 'approov_overrides_total']) {
    for (const name of ['default', 'open']) {
      for (const mode of ['observe', 'limit', 'enforce'])
        expect(text).toContain(`${metric}{policy="${name}",mode="${mode}"} 0\n`);
    }
  }
  expect(text).not.toContain('mode="off"');
  control.apply(SET);
  table = policyTable(policy({ name: 'other' }));
  control.modes.retain(table.policies);
  expect(await series()).toEqual(['approov_overrides_total{policy="default",mode="observe"} 1']);
  expect(lines.at(-1)).toMatchObject({ msg: 'override ended', cause: 'policy removed' });
});
