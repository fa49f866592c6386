/** Tests connection limits and the closing of silent connections. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ConnectionLimits, limitConnections } from '../../../src/net/connection-limits.ts';

let server: Server;
let open: ReadonlySet<Socket>;
const peers: Socket[] = [];
/** Sweeps run only when a test advances the timers. */
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

/** Connects a peer that reads, so that it notices when the server closes it. */
async function connectPeer(): Promise<Socket> {
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

/** `vi.waitFor` would advance the timers, and with them the sweeps. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

const closing = (peer: Socket): Promise<void> => until(() => peer.closed);

async function send(peer: Socket, bytes: number): Promise<void> {
  const before = total();
  peer.write(Buffer.alloc(bytes));
  await until(() => total() === before + bytes);
}

/** Sends as much as a call would, and waits until the server has read it. */
async function sendCall(peer: Socket): Promise<void> {
  await send(peer, 1000);
}

function total(): number {
  return [...open].reduce((sum, { bytesRead }) => sum + bytesRead, 0);
}

describe('a server at its connection limit', () => {
  test('closes the connection that has been idle longest and accepts the new one', async () => {
    await start({ maxConnections: 2 });
    const [first, second] = [await connectPeer(), await connectPeer()];
    const third = await connectPeer();
    await closing(first);
    expect([second.closed, third.closed, open.size]).toEqual([false, false, 2]);
    await connectPeer();
    await closing(second);
    expect([third.closed, open.size]).toEqual([false, 2]);
  });

  test('keeps a connection in use, even if it is the oldest', async () => {
    await start({ maxConnections: 2 });
    const busy = await connectPeer();
    const idle = await connectPeer();
    await sendCall(busy);
    await connectPeer();
    await closing(idle);
    expect([busy.closed, open.size]).toEqual([false, 2]);
  });

  test('closes the new connection if all others are in use', async () => {
    await start({ maxConnections: 2 });
    const busy = [await connectPeer(), await connectPeer()];
    for (const peer of busy) await sendCall(peer);
    await closing(await connectPeer());
    expect(busy.map(({ closed }) => closed)).toEqual([false, false]);
  });

  test('treats a connection as idle once it stops receiving data', async () => {
    await start({ maxConnections: 1 });
    const first = await connectPeer();
    await sendCall(first);
    sweep();
    await closing(await connectPeer());
    sweep();
    await connectPeer();
    await closing(first);
    expect(open.size).toBe(1);
  });

  test('asks isInUse, if given, which connections are in use', async () => {
    const used = new Set<Socket>();
    await start({ maxConnections: 1, isInUse: (socket) => used.has(socket) });
    const first = await connectPeer();
    for (const socket of open) used.add(socket);
    await closing(await connectPeer());
    used.clear();
    sweep();
    await connectPeer();
    await closing(first);
    expect(open.size).toBe(1);
  });
});

describe('connection limits', () => {
  test('close a connection that does not send its preface in time, and keep one that does', async () => {
    await start({ maxConnections: 10, preface: { bytes: 33, timeoutSeconds: 5 } });
    const [prompt, silent, slow] = [await connectPeer(), await connectPeer(), await connectPeer()];
    await send(prompt, 33);
    await send(slow, 32);
    sweep(5);
    expect(open.size).toBe(3);
    sweep();
    await closing(silent);
    await closing(slow);
    expect([prompt.closed, open.size]).toEqual([false, 1]);
  });

  test('close a connection that receives nothing, and keep one that receives a byte now and then', async () => {
    await start({ maxConnections: 10, readTimeoutSeconds: 2 });
    const [alive, silent] = [await connectPeer(), await connectPeer()];
    sweep(2);
    await send(alive, 1);
    sweep();
    await closing(silent);
    expect([alive.closed, open.size]).toEqual([false, 1]);
    sweep(3);
    await closing(alive);
  });

  test('do not count a connection that its peer has closed', async () => {
    await start({ maxConnections: 1, isInUse: () => true });
    (await connectPeer()).destroy();
    await until(() => open.size === 0);
    const second = await connectPeer();
    await sendCall(second);
    expect(second.closed).toBe(false);
  });
});
