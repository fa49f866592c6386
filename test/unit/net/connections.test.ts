/** Proves that a limit on connections holds, and that a silent connection keeps no place that another needs. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ConnectionLimits, limitConnections } from '../../../src/net/connections.ts';

let server: Server;
let open: ReadonlySet<Socket>;
const peers: Socket[] = [];
/** The sweeps are the test's to make. */
beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
afterEach(async () => {
  vi.useRealTimers();
  for (const peer of peers.splice(0)) peer.destroy();
  await new Promise((closed) => server.close(closed));
});

async function start(limits: ConnectionLimits): Promise<void> {
  server = createServer((socket) => socket.on('error', () => undefined).resume());
  open = limitConnections(server, limits);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

/** A peer that reads, so that it sees its end. */
async function join(): Promise<Socket> {
  const { port } = server.address() as { port: number };
  const peer = connect(port, '127.0.0.1')
    .on('error', () => undefined)
    .resume();
  peers.push(peer);
  const accepted = once(server, 'connection');
  await Promise.all([once(peer, 'connect'), accepted]);
  return peer;
}

function sweep(times = 1): void {
  vi.advanceTimersByTime(times * 1000);
}

/** Not by `vi.waitFor`, which would advance the sweeps. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await sleep(5);
}

const closed = (peer: Socket): Promise<void> => until(() => peer.closed);

async function send(peer: Socket, bytes: number): Promise<void> {
  const before = total();
  peer.write(Buffer.alloc(bytes));
  await until(() => total() === before + bytes);
}

/** Sends what a call would, and waits until it has been read. */
async function use(peer: Socket): Promise<void> {
  await send(peer, 1000);
}

function total(): number {
  return [...open].reduce((sum, { bytesRead }) => sum + bytesRead, 0);
}

describe('a listener that is full', () => {
  test('closes the connection that has been idle longest, and takes the new one', async () => {
    await start({ maxConnections: 2 });
    const [first, second] = [await join(), await join()];
    const third = await join();
    await closed(first);
    expect([second.closed, third.closed, open.size]).toEqual([false, false, 2]);
    await join();
    await closed(second);
    expect([third.closed, open.size]).toEqual([false, 2]);
  });

  test('passes over a connection in use, however old it is', async () => {
    await start({ maxConnections: 2 });
    const busy = await join();
    const idle = await join();
    await use(busy);
    await join();
    await closed(idle);
    expect([busy.closed, open.size]).toEqual([false, 2]);
  });

  test('closes the new connection if all are in use', async () => {
    await start({ maxConnections: 2 });
    const busy = [await join(), await join()];
    for (const peer of busy) await use(peer);
    await closed(await join());
    expect(busy.map(({ closed }) => closed)).toEqual([false, false]);
  });

  test('takes a connection that was in use for idle once nothing more comes', async () => {
    await start({ maxConnections: 1 });
    const was = await join();
    await use(was);
    sweep();
    await closed(await join());
    sweep();
    await join();
    await closed(was);
    expect(open.size).toBe(1);
  });

  test('asks its server which connections are in use, where that knows', async () => {
    const used = new Set<Socket>();
    await start({ maxConnections: 1, isInUse: (socket) => used.has(socket) });
    const first = await join();
    for (const socket of open) used.add(socket);
    await closed(await join());
    used.clear();
    sweep();
    await join();
    await closed(first);
  });
});

describe('a connection', () => {
  test('that does not send its opening in time is closed, one that does is kept', async () => {
    await start({ maxConnections: 10, opening: { bytes: 33, seconds: 5 } });
    const [prompt, silent, slow] = [await join(), await join(), await join()];
    await send(prompt, 33);
    await send(slow, 32);
    sweep(5);
    expect(open.size).toBe(3);
    sweep();
    await closed(silent);
    await closed(slow);
    expect([prompt.closed, open.size]).toEqual([false, 1]);
  });

  test('on which nothing comes is closed, one that sends a byte now and then is kept', async () => {
    await start({ maxConnections: 10, silenceSeconds: 2 });
    const [alive, silent] = [await join(), await join()];
    sweep(2);
    await send(alive, 1);
    sweep();
    await closed(silent);
    expect([alive.closed, open.size]).toEqual([false, 1]);
    sweep(3);
    await closed(alive);
  });

  test('that ends by itself gives its place back', async () => {
    await start({ maxConnections: 1, isInUse: () => true });
    (await join()).destroy();
    await until(() => open.size === 0);
    const second = await join();
    await use(second);
    expect(second.closed).toBe(false);
  });
});
