/** Tests what the shared store makes of a connection that is slow, lost or forgetful; test/process has a real server. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ReplayMark } from '../../../src/authz/replay.ts';
import { openSharedStore } from '../../../src/replay/shared-store.ts';
import type { Connect } from '../../../src/replay/store-connection.ts';
import { describeState } from '../../../src/replay/store-session.ts';

const NOW = 1_700_000_000;
const NEVER = new Promise<never>(() => undefined);

/** A server whose parts a test replaces. */
function fakeServer() {
  const values = new Map<string, string>();
  const server = {
    values,
    info: async (): Promise<string> => 'run_id:0abc\r\nevicted_keys:0\r\n',
    set: async (key: string, value: string): Promise<string | null> => {
      const recorded = values.get(key) ?? null;
      if (recorded === null) values.set(key, value);
      return recorded;
    },
    lose: (_: unknown): void => undefined,
    signal: undefined as AbortSignal | undefined,
  };
  const connect: Connect = async (signal, onLost) => {
    server.signal = signal;
    server.lose = onLost;
    return { setIfAbsent: (key, value) => server.set(key, value), info: () => server.info() };
  };
  return { server, connect };
}

let stores: { close(): void }[] = [];

async function open(connect: Connect, nowSeconds = () => NOW) {
  const states: string[] = [];
  const store = openSharedStore({
    connect,
    timeoutMs: 20,
    nowSeconds,
    onState: (state) => states.push(describeState(state)),
  });
  stores.push(store);
  await store.attempted;
  return { ...store, states };
}

/** By default, of a signature that is created well after the store has started. */
function mark(createdSeconds = NOW + 100): ReplayMark {
  return {
    key: 'key',
    requestId: '1',
    createdSeconds,
    clockToleranceSeconds: 60,
    keepUntilSeconds: createdSeconds + 360,
  };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => {
  for (const store of stores) store.close();
  stores = [];
  vi.useRealTimers();
});

describe('the shared store', () => {
  test('fails at its deadline, and not before, if the answer does not come', async () => {
    const { server, connect } = fakeServer();
    const store = await open(connect);
    server.set = () => NEVER;
    let outcome: unknown;
    void store.add(mark()).then((known) => {
      outcome = known;
    });
    await vi.advanceTimersByTimeAsync(19);
    await nextTurn();
    expect(outcome).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    await nextTurn();
    await nextTurn();
    expect(outcome).toEqual({ kind: 'failed', failure: 'timeout' });
  });

  test('takes an answer that had arrived when the deadline passed', async () => {
    const { server, connect } = fakeServer();
    const store = await open(connect);
    server.set = () => new Promise((resolve) => setImmediate(() => resolve(null)));
    const outcome = store.add(mark());
    // As after a stall: the timer is due before the reply is read.
    vi.advanceTimersByTime(20);
    expect(await outcome).toEqual({ kind: 'fresh' });
  });

  test('fails at once while 10,000 commands wait for an answer', async () => {
    const { server, connect } = fakeServer();
    const store = await open(connect);
    server.set = () => NEVER;
    for (let sent = 0; sent < 10_000; sent++) void store.add(mark());
    expect(await store.add(mark())).toEqual({ kind: 'failed', failure: 'overloaded' });
  });

  test.each([
    [
      '62 s after the start of its memory, which the clock tolerance allows to be its first use',
      62,
      'failed',
    ],
    ['63 s after the start of its memory', 63, 'fresh'],
    ['before the start of its memory', -1, 'failed'],
  ])('judges a signature created %s', async (_, seconds, kind) => {
    const { connect } = fakeServer();
    const store = await open(connect);
    expect((await store.add(mark(NOW + seconds))).kind).toBe(kind);
  });

  test('calls a signature that it has seen replayed, even if it may have forgotten others', async () => {
    const { connect } = fakeServer();
    const store = await open(connect);
    await store.add(mark(NOW));
    expect(await store.add({ ...mark(NOW), requestId: '2' })).toEqual({
      kind: 'replayed',
      firstRequestId: '1',
    });
  });

  test.each([
    ['another process', 'run_id:0def\r\nevicted_keys:0\r\n'],
    ['the same process, which has evicted a key', 'run_id:0abc\r\nevicted_keys:1\r\n'],
  ])('begins a new memory when a probe finds %s', async (_, info) => {
    const { server, connect } = fakeServer();
    server.values.set('approov:replay:since:0abc:0', String(NOW - 1000));
    const store = await open(connect);
    expect((await store.add(mark(NOW))).kind).toBe('fresh');
    server.info = async () => info;
    await vi.advanceTimersByTimeAsync(1000);
    expect(await store.add(mark(NOW))).toEqual({ kind: 'failed', failure: 'forgotten' });
  });

  test('begins a new memory when a probe finds that it was flushed', async () => {
    const { server, connect } = fakeServer();
    server.values.set('approov:replay:since:0abc:0', String(NOW - 1000));
    const store = await open(connect);
    server.values.clear();
    await vi.advanceTimersByTimeAsync(1000);
    expect(await store.add(mark(NOW))).toEqual({ kind: 'failed', failure: 'forgotten' });
  });

  test('forgets nothing more for the clock of the replica that recorded its start a day ahead', async () => {
    const { server, connect } = fakeServer();
    server.values.set('approov:replay:since:0abc:0', String(NOW + 86_400));
    let now = NOW;
    const store = await open(connect, () => now);
    now += 100;
    await vi.advanceTimersByTimeAsync(1000);
    expect((await store.add(mark(NOW + 63))).kind).toBe('fresh');
    expect((await store.add({ ...mark(NOW + 62), key: 'older' })).kind).toBe('failed');
  });

  test('disconnects from a server that does not answer a probe, and connects again', async () => {
    const { server, connect } = fakeServer();
    const store = await open(connect);
    const { info } = server;
    server.info = () => NEVER;
    const first = server.signal;
    await vi.advanceTimersByTimeAsync(3000);
    expect(first?.aborted).toBe(true);
    expect(await store.add(mark())).toEqual({ kind: 'failed', failure: 'disconnected' });
    server.info = info;
    await vi.advanceTimersByTimeAsync(5000);
    expect(store.states).toEqual(['connected', 'disconnected (no answer in 2000 ms)', 'connected']);
  });

  test('reports a problem once, however often it tries to connect', async () => {
    let attempts = 0;
    const store = await open(async () => {
      attempts++;
      throw Object.assign(new Error('connect redis://user:secret@host'), { code: 'ECONNREFUSED' });
    });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(store.states).toEqual(['disconnected (ECONNREFUSED)']);
    // Backoff: 2 s at most, and half of it at least.
    expect(attempts).toBeGreaterThan(30);
    expect(attempts).toBeLessThan(70);
  });

  test('fails what is in flight on a connection that is lost', async () => {
    const { server, connect } = fakeServer();
    const store = await open(connect);
    server.set = async () => {
      throw new Error('Socket closed unexpectedly');
    };
    const outcome = store.add(mark());
    server.lose(new Error('Socket closed unexpectedly'));
    expect(await outcome).toEqual({ kind: 'failed', failure: 'disconnected' });
    await vi.advanceTimersByTimeAsync(0);
    expect(describeState(store.state())).toBe('disconnected (connection closed)');
  });

  test('keeps its connection when the one before reports another error', async () => {
    const { server, connect } = fakeServer();
    const store = await open(connect);
    const { lose } = server;
    lose(new Error('Socket closed unexpectedly'));
    await vi.advanceTimersByTimeAsync(1000);
    expect(describeState(store.state())).toBe('connected');
    lose(new Error('late'));
    expect(await store.add(mark())).toEqual({ kind: 'fresh' });
    await vi.advanceTimersByTimeAsync(1000);
    expect(store.states).toEqual(['connected', 'disconnected (connection closed)', 'connected']);
  });

  test.each([
    ['no run_id', 'evicted_keys:0\r\n', 'INFO lacks run_id or evicted_keys'],
    ['an empty answer to INFO', '', 'INFO lacks run_id or evicted_keys'],
  ])('does not use a server with %s', async (_, info, problem) => {
    const { server, connect } = fakeServer();
    server.info = async () => info;
    const store = await open(connect);
    expect(store.states).toEqual([`disconnected (${problem})`]);
  });

  test('does not use a server whose record of its memory cannot be read', async () => {
    const { server, connect } = fakeServer();
    server.values.set('approov:replay:since:0abc:0', 'yesterday');
    const store = await open(connect);
    expect(store.states).toEqual(['disconnected (a key under approov:replay:since: has another use)']);
  });

  test('connects no more once it is closed, and reports nothing', async () => {
    const { server, connect } = fakeServer();
    const store = await open(connect);
    store.close();
    expect(server.signal?.aborted).toBe(true);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(store.states).toEqual(['connected']);
    expect(await store.add(mark())).toEqual({ kind: 'failed', failure: 'disconnected' });
  });
});
