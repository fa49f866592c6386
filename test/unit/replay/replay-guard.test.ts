/** Tests the replay guard without a store; test/process has a real one. */
import { expect, test } from 'vitest';
import type { ReplayMark } from '../../../src/authz/replay.ts';
import { createReplayGuard } from '../../../src/replay/replay-guard.ts';

const NOW = 1_700_000_000;

function start(maxLocalMarks?: number) {
  const failures: string[] = [];
  const guard = createReplayGuard({
    nowSeconds: () => NOW,
    onFailure: (failure) => failures.push(failure),
    onState: () => undefined,
    ...(maxLocalMarks === undefined ? {} : { maxLocalMarks }),
  });
  return { guard, failures };
}

function mark(key: string, requestId: string): ReplayMark {
  return { key, requestId, createdSeconds: NOW, clockToleranceSeconds: 60, keepUntilSeconds: NOW + 360 };
}

test('per instance, a signature is fresh for one request, at once', () => {
  const { guard, failures } = start();
  const outcomes = ['1', '1', '2', ''].map((id) => guard.check(mark('a', id), 'per-instance'));
  expect(outcomes).toEqual([
    { kind: 'fresh' },
    { kind: 'fresh' },
    { kind: 'replayed' },
    { kind: 'replayed' },
  ]);
  expect(failures).toEqual([]);
});

test('per instance, a signature fails while the memory is full, and a known one does not', () => {
  const { guard, failures } = start(1);
  const outcomes = ['a', 'b', 'a'].map((key) => guard.check(mark(key, '1'), 'per-instance'));
  expect(outcomes).toEqual([{ kind: 'fresh' }, { kind: 'failed' }, { kind: 'fresh' }]);
  expect(failures).toEqual(['full']);
});

test('a signature that is to be shared fails without a store, and its replay is still a replay', () => {
  const { guard, failures } = start();
  expect(guard.check(mark('a', '1'), 'shared')).toEqual({ kind: 'failed' });
  expect(guard.check(mark('a', '2'), 'shared')).toEqual({ kind: 'replayed' });
  expect(failures).toEqual(['disconnected']);
  expect(guard.storeState()).toBeUndefined();
});
