/** Owns the admin pages over plain HTTP: liveness, readiness, metrics, and the effective configuration. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isIPv4 } from 'node:net';
import { type ListenerOptions, type ListenTarget, listen } from './listener.ts';

/** Those who ask are few: probes and Prometheus. One more is closed at once. */
const MAX_CONNECTIONS = 256;

export interface Readiness {
  readonly isReady: boolean;
  /** The state of each part, in words. */
  readonly components: Readonly<Record<string, unknown>>;
}

export interface AdminPages {
  readonly readiness: () => Readiness;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  /** The effective configuration without secrets, as YAML. */
  readonly configuration: () => string;
  readonly onFault: (error: unknown) => void;
  readonly onListenerError: ListenerOptions['onListenerError'];
}

export interface AdminServer {
  listen(target: ListenTarget): Promise<ListenTarget>;
  close(): Promise<void>;
}

interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly allow?: string;
}

export function createAdminServer(pages: AdminPages): AdminServer {
  const routes: Readonly<Record<string, (request: IncomingMessage) => Page | Promise<Page>>> = {
    '/livez': () => textPage(200, 'ok'),
    '/readyz': () => {
      const { isReady, components } = pages.readiness();
      return jsonPage(isReady ? 200 : 503, { status: isReady ? 'ready' : 'not ready', components });
    },
    '/metrics': async () => {
      const { contentType, text } = await pages.metrics();
      return { status: 200, contentType, body: text };
    },
    '/config': (request) =>
      isLoopback(request.socket.remoteAddress)
        ? { status: 200, contentType: 'application/yaml; charset=utf-8', body: pages.configuration() }
        : textPage(403, 'loopback clients only'),
  };

  async function answer(request: IncomingMessage): Promise<Page> {
    const path = (request.url ?? '').replace(/\?.*$/s, '');
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (route === undefined) return textPage(404, `there are: ${Object.keys(routes).join(' ')}`);
    if (request.method !== 'GET') return { ...textPage(405, 'GET only'), allow: 'GET' };
    return route(request);
  }

  const server = createServer((request, response) => {
    answer(request)
      .catch((error: unknown) => {
        pages.onFault(error);
        return textPage(500, 'internal error');
      })
      .then((page) => send(response, page));
  });

  server.maxConnections = MAX_CONNECTIONS;

  return {
    listen: (target) => listen(server, target, { socketMode: 0o600, onListenerError: pages.onListenerError }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function send(response: ServerResponse, { status, contentType, body, allow }: Page): void {
  response.writeHead(status, {
    'content-type': contentType,
    'cache-control': 'no-store',
    ...(allow === undefined ? {} : { allow }),
  });
  response.end(body);
}

function textPage(status: number, text: string): Page {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${text}\n` };
}

function jsonPage(status: number, value: unknown): Page {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` };
}

/** 127.0.0.0/8 or ::1, the former also as it looks on a dual-stack socket. */
function isLoopback(address: string | undefined): boolean {
  const plain = address?.replace(/^::ffff:/i, '');
  return plain === '::1' || (plain !== undefined && isIPv4(plain) && plain.startsWith('127.'));
}
