/** Tests replicas that share a real Redis server: what they refuse, and what happens when the server fails. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ReplayMark } from '../../src/authz/replay.ts';
import { eventually } from '../support/cluster.ts';
import { REDIS, type RunningRedis, startRedis } from '../support/redis.ts';
import { countOf, createReplicas, type Replica, replayOf } from '../support/replay-guards.ts';
import { unmet } from '../support/requirement.ts';

const skipped = await unmet([REDIS], 'that replicas which share a Redis server refuse replays');

const BATCH = 500;

async function checkAll(replica: Replica, marks: readonly ReplayMark[]): Promise<readonly string[]> {
  const outcomes: string[] = [];
  for (let at = 0; at < marks.length; at += BATCH)
    outcomes.push(...(await Promise.all(marks.slice(at, at + BATCH).map(replica.check))));
  return outcomes;
}

describe.skipIf(skipped !== '')(`two replicas with one Redis server${skipped}`, () => {
  let redis: RunningRedis;
  let replicas: ReturnType<typeof createReplicas>;
  const newMarks = (count: number) => Array.from({ length: count }, () => replicas.newMark());
  const pairWith = async (onError: 'deny' | 'allow', url = redis.url) => {
    const pair = [
      await replicas.replica({ url, onError }),
      await replicas.replica({ url, onError }),
    ] as const;
    replicas.later();
    return pair;
  };

  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());
  beforeEach(() => {
    replicas = createReplicas();
  });
  afterEach(() => replicas.close());

  test('allow none of 10,000 signatures that are sent again to the other replica', async () => {
    const [one, other] = await pairWith('deny');
    const marks = newMarks(10_000);
    expect(countOf(await checkAll(one, marks))).toEqual({ fresh: 10_000 });
    expect(
      countOf(
        await checkAll(
          other,
          marks.map((mark) => replayOf(mark)),
        ),
      ),
    ).toEqual({ replayed: 10_000 });
  });

  test('allow exactly one of two requests with the same signature that arrive at the same time', async () => {
    const [one, other] = await pairWith('deny');
    const races = newMarks(1000).map((mark) => Promise.all([one.check(mark), other.check(replayOf(mark))]));
    const outcomes = (await Promise.all(races)).map((race) => race.sort().join(' '));
    expect(countOf(outcomes)).toEqual({ 'fresh replayed': 1000 });
  });

  test('allow a retry of a request at the other replica, and at both again', async () => {
    const [one, other] = await pairWith('deny');
    const mark = replicas.newMark();
    const outcomes = [await one.check(mark), await other.check(mark), await one.check(mark)];
    expect(outcomes).toEqual(['fresh', 'fresh', 'fresh']);
  });

  test('allow a retry of a request at the other replica, though a replay came there first', async () => {
    const [one, other] = await pairWith('deny');
    const mark = replicas.newMark();
    const outcomes = [
      await one.check(mark),
      await other.check(replayOf(mark)),
      await other.check(mark),
      await other.check(replayOf(mark)),
    ];
    expect(outcomes).toEqual(['fresh', 'replayed', 'fresh', 'replayed']);
  });

  test.each(['', 'x'.repeat(65)])('take the request id %j for none, which is never the same', async (id) => {
    const [one, other] = await pairWith('deny');
    const mark = replicas.newMark(id);
    expect([await one.check(mark), await other.check(mark), await one.check(mark)]).toEqual([
      'fresh',
      'replayed',
      'replayed',
    ]);
  });

  test('still refuse replays when the memory of one process is full', async () => {
    const { url } = redis;
    const one = await replicas.replica({ url, maxLocalMarks: 10 });
    replicas.later();
    const marks = newMarks(100);
    const replays = marks.map((mark) => replayOf(mark));
    expect(countOf(await checkAll(one, marks))).toEqual({ fresh: 100 });
    expect(countOf(await checkAll(one, replays))).toEqual({ replayed: 100 });
    expect(one.failures).toEqual([]);
  });

  test('keep a signature in the store until a moment after it is not accepted any more', async () => {
    const [one] = await pairWith('deny');
    const mark = replicas.newMark();
    await one.check(mark);
    const ttlMs = Number(await redis.command('PTTL', `approov:replay:${mark.key}`));
    expect(ttlMs).toBeGreaterThan(240_000);
    expect(ttlMs).toBeLessThanOrEqual(302_001);
  });

  test('allow no signature twice while the server is killed, restarted and paused, under deny', async () => {
    const [one, other] = await pairWith('deny');
    const accepted: number[] = [];
    await underLoad(async () => {
      const mark = replicas.newMark();
      const outcomes = [
        await one.check(mark),
        await other.check(replayOf(mark)),
        await one.check(replayOf(mark)),
      ];
      accepted.push(outcomes.filter((outcome) => outcome === 'fresh').length);
    });
    expect(Math.max(...accepted)).toBe(1);
    replicas.later();
    expect(countOf(await checkAll(one, newMarks(100)))).toEqual({ fresh: 100 });
  });

  test('refuse no honest request while the server is killed, restarted and paused, under allow', async () => {
    const [one, other] = await pairWith('allow');
    const outcomes: string[] = [];
    await underLoad(async () => {
      const mark = replicas.newMark();
      outcomes.push(
        ...(await Promise.all([one.check(mark), other.check(mark), one.check(replicas.newMark())])),
      );
    });
    expect(countOf(outcomes)).toEqual({ fresh: outcomes.length });
    expect(new Set(one.failures)).toContain('disconnected');
  });

  /** Checks at 20 places at once while the server goes through everything that may happen to it. */
  async function underLoad(check: () => Promise<void>): Promise<void> {
    let isOver = false;
    const load = Array.from({ length: 20 }, async () => {
      while (!isOver) {
        await check();
        // A rate: without a connection, a check fails at once.
        await pause(1);
      }
    });
    const [watcher] = await pairWith('deny');
    for (let round = 0; round < 3; round++) {
      await redis.kill();
      await check();
      await redis.start();
      await watcher.connected();
      await Promise.all(Array.from({ length: 50 }, check));
    }
    redis.pause();
    await eventually('a probe that finds the server paused', async () =>
      watcher.state() === 'connected' ? undefined : true,
    );
    redis.resume();
    await watcher.connected();
    await check();
    isOver = true;
    await Promise.all(load);
  }

  test('answer within their timeout while the server is paused', async () => {
    const { url } = redis;
    const deny = await replicas.replica({ url, timeoutMs: 20 });
    const allow = await replicas.replica({ url, timeoutMs: 20, onError: 'allow' });
    replicas.later();
    redis.pause();
    expect(await Promise.all([deny.check(replicas.newMark()), allow.check(replicas.newMark())])).toEqual([
      'failed',
      'fresh',
    ]);
    expect([...deny.failures, ...allow.failures]).toEqual(['timeout', 'timeout']);
    const late = await replicas.replica({ url, timeoutMs: 20 }, false);
    expect([late.state(), await late.check(replicas.newMark())]).toEqual([
      'disconnected (no answer in 2000 ms)',
      'failed',
    ]);
    redis.resume();
    await late.connected();
  });

  test('allow nothing that was used before a restart of the server, under deny', async () => {
    const [one, other] = await pairWith('deny');
    const marks = newMarks(100);
    await checkAll(one, marks);
    await redis.kill();
    await redis.start();
    await other.connected();
    const replays = marks.map((mark) => replayOf(mark));
    expect(countOf(await checkAll(other, replays))).toEqual({ failed: 100 });
    expect(new Set(other.failures)).toEqual(new Set(['forgotten']));
    // A replica that starts later has not seen the restart.
    const late = await replicas.replica({ url: redis.url });
    const lateReplays = marks.map((mark) => replayOf(mark, 'late'));
    expect(countOf(await checkAll(late, lateReplays))).toEqual({ replayed: 100 });
    expect(await late.check(marks[0] as ReplayMark)).toBe('replayed');
  });
});
