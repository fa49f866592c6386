/** Both sides of a gateway under test: the client, and an upstream that answers with what reached it. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What reached the upstream. */
export interface Arrived {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Upstream {
  readonly port: number;
  /** The number of requests that have reached it. */
  count(): number;
  stop(): Promise<void>;
}

/** Starts an upstream that answers each request with 200 and the request as JSON. */
export async function startUpstream(address = '127.0.0.1'): Promise<Upstream> {
  let arrivals = 0;
  const server = createServer((incoming, response) => {
    arrivals += 1;
    const { method = '', url = '', headers } = incoming;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ method, path: url, headers } satisfies Arrived));
  });
  server.listen(0, address);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    count: () => arrivals,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

interface Message {
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** `undefined` if the gateway answered itself. */
  readonly arrived: Arrived | undefined;
}

/** Sends a request on a new connection to the gateway at this port of loopback. */
export async function send(port: number, message: Message = {}): Promise<Answer> {
  const { method = 'GET', path = '/', host = 'api.example.com', headers = {} } = message;
  const outgoing = request({
    host: '127.0.0.1',
    port,
    method,
    path,
    headers: { ...headers, host },
    agent: false,
    timeout: 30_000,
  });
  outgoing.on('timeout', () => outgoing.destroy(new Error('no answer for 30 s')));
  outgoing.end();
  const [response] = await once(outgoing, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return {
    status: response.statusCode,
    headers: response.headers,
    arrived: readArrived(Buffer.concat(chunks).toString()),
  };
}

/** The headers that tell the upstream the outcome. */
export function approovHeaders(arrived: Arrived | undefined): Record<string, unknown> {
  if (arrived === undefined) throw new Error('the request did not reach the upstream');
  return Object.fromEntries(
    Object.entries(arrived.headers).filter(([name]) => name.startsWith('x-approov-')),
  );
}

function readArrived(body: string): Arrived | undefined {
  if (!body.startsWith('{"method":')) return undefined;
  return JSON.parse(body) as Arrived;
}

/** Retries until `isDone`, for at most 60 s; then returns the last value or throws the last error. */
export async function poll<T>(attempt: () => Promise<T>, isDone: (value: T) => boolean): Promise<T> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const outcome = await attempt().then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    if ('value' in outcome && isDone(outcome.value)) return outcome.value;
    if (Date.now() > deadline) {
      if ('value' in outcome) return outcome.value;
      throw outcome.error;
    }
    await sleep(100);
  }
}
