/** Serves the admin pages over plain HTTP: liveness, readiness, metrics, the rollout, and the effective configuration. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ListenAddress } from '../config/address.ts';
import { limitConnections } from '../net/connection-limits.ts';
import { type ListenerOptions, listen } from '../net/listener.ts';
import type { RolloutReport } from '../rollout/report.ts';
import { HTML_HEADERS } from './html.ts';
import { renderIndex } from './index-page.ts';
import { renderRollout } from './rollout-page.ts';

/** Clients are few: probes and Prometheus. At the limit, the connection that has been idle longest is closed. */
const MAX_CONNECTIONS = 256;
/** For a whole request, and for its headers. */
const REQUEST_TIMEOUT_MS = 5000;
/** How often Node checks those two timeouts; its default of 30 s is too slow. */
const CHECKING_INTERVAL_MS = 1000;
/** Closes a connection without traffic, such as one whose client does not read the response. */
const INACTIVITY_MS = 30_000;

const LOOPBACK_ADDRESS = /^(127\.0\.0\.1|::ffff:127\.0\.0\.1|::1)$/i;
/** Under DNS rebinding, a web page sends the name of its own site, which it made resolve to loopback. */
const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i;
/** A proxy on this machine adds one of these (RFC 9110 §7.6.3, RFC 7239); its client may be remote. */
const PROXY_HEADERS = ['via', 'x-forwarded-for', 'forwarded'];

/** What `/readyz` shows and gRPC health follows. */
export interface Readiness {
  readonly isReady: boolean;
  /** The state of each component, in words. */
  readonly components: Readonly<Record<string, unknown>> & {
    /** What is wrong with URLs of keys, by key id. */
    readonly urls?: Readonly<Record<string, string>>;
  };
}

export interface AdminPages {
  readonly readiness: () => Readiness;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  /** The effective configuration without secrets, as YAML. */
  readonly configuration: () => string;
  readonly rollout: () => Promise<RolloutReport>;
  readonly onError: (error: unknown) => void;
  readonly onListenerError: ListenerOptions['onListenerError'];
}

export interface AdminServer {
  listen(address: ListenAddress): Promise<ListenAddress>;
  close(): Promise<void>;
}

interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Besides those of every page. */
  readonly headers?: Readonly<Record<string, string>>;
}

type Routes = Readonly<Record<string, (request: IncomingMessage) => Page | Promise<Page>>>;

export function createAdminServer(pages: AdminPages): AdminServer {
  const routes = routesOf(pages);
  const timeouts = {
    headersTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: CHECKING_INTERVAL_MS,
  };
  const answering = new Set<Socket>();
  const server = createServer(timeouts, (request, response) => {
    answering.add(request.socket);
    response.once('close', () => answering.delete(request.socket));
    answer(request, routes)
      .catch((error: unknown) => {
        pages.onError(error);
        return textPage(500, 'internal error');
      })
      .then((page) => send(response, page));
  });

  server.setTimeout(INACTIVITY_MS);
  limitConnections(server, {
    maxConnections: MAX_CONNECTIONS,
    isInUse: (socket) => answering.has(socket),
  });

  return {
    listen: (address) =>
      listen(server, address, { unixSocketMode: 0o600, onListenerError: pages.onListenerError }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function routesOf(pages: AdminPages): Routes {
  return {
    '/': () => htmlPage(renderIndex()),
    '/rollout': async ({ url = '' }) =>
      htmlPage(renderRollout(await pages.rollout(), !url.endsWith('?refresh=off'))),
    '/rollout.json': async () => jsonPage(200, await pages.rollout()),
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
      isLocal(request)
        ? { status: 200, contentType: 'application/yaml; charset=utf-8', body: pages.configuration() }
        : textPage(403, 'loopback clients only'),
  };
}

async function answer(request: IncomingMessage, routes: Routes): Promise<Page> {
  const path = (request.url ?? '').replace(/\?.*$/s, '');
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) return textPage(404, `not found; pages: ${Object.keys(routes).join(' ')}`);
  if (request.method !== 'GET') return { ...textPage(405, 'GET only'), headers: { allow: 'GET' } };
  return route(request);
}

function send(response: ServerResponse, { status, contentType, body, headers }: Page): void {
  response.writeHead(status, {
    'content-type': contentType,
    'cache-control': 'no-store',
    ...headers,
  });
  response.end(body);
}

function htmlPage(html: string): Page {
  return { status: 200, contentType: 'text/html; charset=utf-8', body: html, headers: HTML_HEADERS };
}

function textPage(status: number, text: string): Page {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${text}\n` };
}

function jsonPage(status: number, value: unknown): Page {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` };
}

/** Whether the client is on this machine and not behind a proxy on it. */
function isLocal({ socket, headersDistinct }: IncomingMessage): boolean {
  const [host = '', ...otherHosts] = headersDistinct['host'] ?? [];
  return (
    LOOPBACK_ADDRESS.test(socket.remoteAddress ?? '') &&
    LOOPBACK_HOST.test(host) &&
    otherHosts.length === 0 &&
    PROXY_HEADERS.every((name) => headersDistinct[name] === undefined)
  );
}
