/** Owns a load of valid tokens through Envoy at Poisson arrivals, what became of each request, and an upstream that is not in the way. */
import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { freshToken } from './token.ts';

const REQUEST_TIMEOUT_MS = 30_000;
/** Beyond it requests wait for a connection: a machine that stalls must not run out of ports. */
const MAX_CONNECTIONS = 256;

export interface Failure {
  /** Its place among those sent, from 0; the path is `/orders/<index>`, so that Envoy's access log tells of it. */
  readonly index: number;
  /** The status, or the code of the error. */
  readonly result: string;
}

export interface LoadResult {
  readonly sent: number;
  /** How many a second came out of it. */
  readonly rate: number;
  /** Everything that did not come back as 200. */
  readonly failures: readonly Failure[];
}

export interface Load {
  /** Requests so far. */
  readonly sent: number;
  /** Those that have come to an end. */
  readonly ended: number;
  /** The indexes of those that are on the way. */
  open(): readonly number[];
  /** Sends nothing more, and waits for what is on the way. */
  stop(): Promise<LoadResult>;
}

/**
 * Sends requests, each with a valid token of its own, at random moments that do not depend on the answers: so do many
 * clients that know nothing of each other.
 * @param port of Envoy's listener.
 * @param perSecond how many on average.
 */
export function startLoad(port: number, perSecond: number): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_CONNECTIONS });
  const open = new Map<number, Promise<void>>();
  const failures: Failure[] = [];
  const startMs = performance.now();
  let isStopped = false;
  let sent = 0;
  let ended = 0;

  function sendOne(): void {
    const index = sent++;
    const call = resultOf(port, `/orders/${index}`, agent).then((result) => {
      ended++;
      if (result !== '200') failures.push({ index, result });
      open.delete(index);
    });
    open.set(index, call);
  }

  async function arrive(): Promise<void> {
    let nextMs = startMs;
    while (!isStopped) {
      for (; nextMs <= performance.now(); nextMs += gapMs(perSecond)) sendOne();
      await sleep(Math.max(0, nextMs - performance.now()));
    }
  }

  const arrivals = arrive();
  return {
    get sent() {
      return sent;
    },
    get ended() {
      return ended;
    },
    open: () => [...open.keys()],
    async stop() {
      isStopped = true;
      await arrivals;
      const seconds = (performance.now() - startMs) / 1000;
      await Promise.all(open.values());
      agent.destroy();
      return { sent, rate: sent / seconds, failures };
    },
  };
}

/** Between the arrivals of a Poisson process lie exponential gaps. */
function gapMs(perSecond: number): number {
  return (-Math.log(1 - Math.random()) / perSecond) * 1000;
}

function resultOf(port: number, path: string, agent: Agent): Promise<string> {
  return new Promise((resolve) => {
    const call = request({
      host: '127.0.0.1',
      port,
      path,
      agent,
      headers: { host: 'api.example.com', 'approov-token': freshToken() },
      timeout: REQUEST_TIMEOUT_MS,
    });
    const fail = (error: NodeJS.ErrnoException): void => resolve(error.code ?? error.message);
    call.on('response', (response) => {
      response.resume();
      response.on('end', () => resolve(String(response.statusCode)));
      response.on('error', fail);
    });
    call.on('timeout', () => call.destroy(new Error('timeout')));
    call.on('error', fail);
    call.end();
  });
}

export interface PlainUpstream {
  readonly address: string;
  close(): Promise<void>;
}

/** An API that answers 200 to everything and never closes a connection, so that no failure is its own. */
export async function startPlainUpstream(): Promise<PlainUpstream> {
  const server = createServer((incoming, response) => {
    incoming.resume();
    response.end();
  });
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
