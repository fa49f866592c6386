/** Tests that restarts and crashes of one of two instances behind envoy.yaml lose no more requests than they must. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { checksOf, type InstancePair, more, report, SOME, startPair } from '../support/instance-pair.ts';
import { healthyInstances, restartAll } from '../support/restarts.ts';

describe('with two instances', () => {
  let pair: InstancePair;
  beforeAll(async () => {
    pair = await startPair('{}');
  });
  beforeEach(() => healthyInstances(pair.envoy, 2));
  afterAll(() => pair.stop());

  test('SIGTERM to one loses no request', async () => {
    const load = pair.startLoad();
    await more(load, SOME);
    expect(await checksOf(pair.one)).toBeGreaterThan(0);
    pair.one.service().signal('SIGTERM');
    expect(await pair.one.service().ended).toBe(0);
    await more(load, SOME);
    expect((await load.stop()).failures).toEqual([]);
    await pair.one.start();
  });

  test('a rolling restart loses no request', async () => {
    const load = pair.startLoad();
    await more(load, SOME);
    expect(await restartAll(pair.envoy, [pair.one, pair.other])).toEqual([0, 0]);
    await more(load, SOME);
    expect((await load.stop()).failures).toEqual([]);
    expect(await checksOf(pair.one)).toBeGreaterThan(0);
    expect(await checksOf(pair.other)).toBeGreaterThan(0);
  });

  test('kill -9 of one loses at most the requests in flight at that moment', async () => {
    const load = pair.startLoad();
    await more(load, SOME);
    const openAtKill = new Set(load.open());
    const sentAtKill = load.sent;
    pair.other.service().signal('SIGKILL');
    expect(await pair.other.service().ended).toBeNull();
    const sentAtEnd = load.sent;
    await more(load, SOME);
    const { failures, sent } = await load.stop();
    report(
      `kill -9 of one of two instances: of ${sent} requests, ${openAtKill.size} were in flight and ${failures.length} failed`,
    );
    const wasOnTheWay = (index: number): boolean =>
      openAtKill.has(index) || (index >= sentAtKill && index < sentAtEnd);
    expect(failures.filter(({ index }) => !wasOnTheWay(index))).toEqual([]);
    expect(failures.filter(({ result }) => result !== '503')).toEqual([]);
    await pair.other.start();
  });
});
