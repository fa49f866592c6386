/** Attacks a server in a process of its own while another client goes on calling it. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll } from 'vitest';
import { killAtExit } from '../../../../test/support/platform-tool.ts';
import { connectRaw, FRAME, PREFACE, type RawPeer, SETTINGS } from '../../../../test/support/raw-http2.ts';
import { call, SETTINGS_ACK } from './wire.ts';

const SCRIPT = fileURLToPath(new URL('attacked-server.mjs', import.meta.url));

interface ServerState {
  /** On the heap and outside of it, after a garbage collection. */
  readonly bytes: number;
  /** The largest resident size so far. */
  readonly peakBytes: number;
  /** Why connections were closed since the last time. */
  readonly errors: readonly string[];
  /** Calls that a handler has answered. */
  readonly calls: number;
}

interface AttackedServer {
  readonly address: string;
  state(): Promise<ServerState>;
  /** Begins an orderly shutdown. */
  shutDown(): Promise<void>;
  stop(): Promise<void>;
}

/** A server for the tests of a file. */
export function useAttackedServer(): Omit<AttackedServer, 'stop'> {
  let server: AttackedServer;
  beforeAll(async () => {
    server = await startAttackedServer();
  });
  afterAll(() => server.stop());
  return {
    get address() {
      return server.address;
    },
    state: () => server.state(),
    shutDown: () => server.shutDown(),
  };
}

export async function startAttackedServer(): Promise<AttackedServer> {
  const child = fork(SCRIPT, { execArgv: ['--expose-gc'] });
  killAtExit(child);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return {
    address: `127.0.0.1:${port}`,
    async state() {
      child.send('state');
      const [state] = (await once(child, 'message')) as [ServerState];
      return state;
    },
    async shutDown() {
      child.send('shutdown');
      await once(child, 'message');
    },
    async stop() {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}

/** The least number of calls of the other client, and the time between two of them. */
const MIN_CALLS = 20;
const PAUSE_MS = 5;

export interface Damage {
  /** Calls of another client that were answered during the attack; all of them, or the attack rejects. */
  readonly answered: number;
  /** Of those, in milliseconds. Depends on the machine: to be reported, not asserted. */
  readonly slowestMs: number;
  /** Kept at the end of the attack, with its connection still open. */
  readonly keptBytes: number;
  readonly peakBytes: number;
  /** Why the server closed connections. */
  readonly errors: readonly string[];
}

/** Attacks after preface and SETTINGS. The peer stays open. */
export async function attack(
  server: Pick<AttackedServer, 'address' | 'state'>,
  send: (peer: RawPeer) => Promise<void>,
): Promise<Damage & { readonly peer: RawPeer }> {
  const other = await connectRaw(server.address);
  await other.write(PREFACE, SETTINGS, SETTINGS_ACK);
  await echo(other, 0);
  const before = await server.state();
  const peer = await connectRaw(server.address);
  await peer.write(PREFACE, SETTINGS, SETTINGS_ACK);
  let isOver = false;
  let slowestMs = 0;
  const calling = (async () => {
    let index = 1;
    for (; !isOver || index <= MIN_CALLS; index++) {
      const start = performance.now();
      await echo(other, index);
      slowestMs = Math.max(slowestMs, performance.now() - start);
      await sleep(PAUSE_MS);
    }
    return index - 1;
  })();
  await send(peer).finally(() => {
    isOver = true;
  });
  const answered = await calling;
  other.destroy();
  const after = await server.state();
  return {
    peer,
    answered,
    slowestMs,
    keptBytes: after.bytes - before.bytes,
    peakBytes: after.peakBytes - before.peakBytes,
    errors: after.errors,
  };
}

/** Calls the echo method, and waits for the end of the response: its trailers are the second HEADERS of the stream. */
async function echo(peer: RawPeer, index: number): Promise<void> {
  await peer.write(call(2 * index + 1, `call ${index}`));
  await peer.until(() => peer.received(FRAME.headers).length >= 2 * (index + 1));
  const response = peer.received(FRAME.data)[index]?.payload.subarray(5).toString();
  if (response !== `call ${index}`)
    throw new Error(`call ${index} of another client was answered with ${response}`);
}

/** The error code of a GOAWAY (RFC 9113 §7), once the peer has got one. */
export async function goAwayCode(peer: RawPeer): Promise<number | undefined> {
  await peer.until(() => peer.received(FRAME.goaway).length > 0);
  return peer.received(FRAME.goaway).at(-1)?.payload.readUInt32BE(4);
}
