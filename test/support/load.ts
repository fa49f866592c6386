/** Sends requests with valid tokens through Envoy at Poisson arrivals, and records the outcome of each. */
import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { freshToken } from './token.ts';

const REQUEST_TIMEOUT_MS = 30_000;
/** Further requests wait for a connection, so that a stalled machine does not run out of ports. */
const MAX_CONNECTIONS = 256;

export interface Failure {
  /** The number of the request, from 0; its path is `/orders/<index>`, to find it in Envoy's access log. */
  readonly index: number;
  /** The HTTP status, or the code of the error. */
  readonly result: string;
}

export interface LoadResult {
  readonly sent: number;
  /** Requests per second achieved. */
  readonly rate: number;
  /** Every request without a 200 response. */
  readonly failures: readonly Failure[];
}

export interface Load {
  /** Requests sent so far. */
  readonly sent: number;
  /** Requests completed, successful or not. */
  readonly ended: number;
  /** The indexes of the requests in flight. */
  open(): readonly number[];
  /** Stops sending, and waits for the requests in flight. */
  stop(): Promise<LoadResult>;
}

/**
 * Sends requests, each with a new valid token, at random times independent of the answers, as many independent clients do.
 * @param port the port of Envoy's listener.
 * @param perSecond the average rate.
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

/** The gaps between the arrivals of a Poisson process are exponentially distributed. */
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

/** An API that answers 200 to everything and never closes a connection, so that it causes no failure. */
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
