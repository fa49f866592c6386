/** An HTTPS server that serves a JWK Set, or misbehaves as a test requires. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Certificate } from './certificate.ts';

export type Answer = (response: ServerResponse, request: IncomingMessage) => void;

export interface KeyHost {
  /** https://localhost:port */
  readonly origin: string;
  readonly port: number;
  /** The path of each request so far. */
  readonly requests: readonly string[];
  /** Sets the answer to further requests; a string is a body with status 200. */
  answer(with_: string | Answer): void;
  close(): Promise<void>;
}

/** @param port 0 for a free port; an earlier port for a host that comes back. */
export async function startKeyHost(
  certificate: Pick<Certificate, 'cert' | 'key'>,
  first: string | Answer = '',
  port = 0,
): Promise<KeyHost> {
  let current = asAnswer(first);
  const requests: string[] = [];
  const { cert, key } = certificate;
  const server = createServer({ cert, key }, (request, response) => {
    requests.push(request.url ?? '');
    current(response, request);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const bound = (server.address() as AddressInfo).port;
  return {
    origin: `https://localhost:${bound}`,
    port: bound,
    requests,
    answer(next) {
      current = asAnswer(next);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Redirects the client. */
export function redirectTo(location: string, status = 302): Answer {
  return (response) => response.writeHead(status, { location }).end();
}

function asAnswer(answer: string | Answer): Answer {
  return typeof answer === 'string' ? (response) => response.end(answer) : answer;
}
