/** Serves the admin pages over plain HTTP: liveness, readiness, metrics, the rollout, the effective configuration, and overrides. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ListenAddress } from '../config/address.ts';
import { limitConnections } from '../net/connection-limits.ts';
import { type ListenerOptions, listen } from '../net/listener.ts';
import type { RolloutReport } from '../rollout/report.ts';
import { renderIndex } from './index-page.ts';
import { isLocal, refuseRemote } from './local-client.ts';
import { type Overrides, overridePage } from './override-page.ts';
import { htmlPage, jsonPage, type Page, type PageHandler, textPage } from './page.ts';
import { renderRollout } from './rollout-page.ts';

/** Clients are few: probes and Prometheus. At the limit, the connection that has been idle longest is closed. */
const MAX_CONNECTIONS = 256;
/** For a whole request, and for its headers. */
const REQUEST_TIMEOUT_MS = 5000;
/** How often Node checks those two timeouts; its default of 30 s is too slow. */
const CHECKING_INTERVAL_MS = 1000;
/** Closes a connection without traffic, such as one whose client does not read the response. */
const INACTIVITY_MS = 30_000;

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
  readonly overrides: Overrides;
  readonly onError: (error: unknown) => void;
  readonly onListenerError: ListenerOptions['onListenerError'];
}

export interface AdminServer {
  listen(address: ListenAddress): Promise<ListenAddress>;
  close(): Promise<void>;
}

type Routes = Readonly<Record<string, PageHandler>>;

/** Of a page that is not only read. */
const METHODS: Readonly<Record<string, readonly string[]>> = { '/override': ['GET', 'POST'] };
const READ_ONLY = ['GET'];

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
    '/rollout': async (request) =>
      htmlPage(renderRollout(await reportFor(request, pages), !request.url?.endsWith('?refresh=off'))),
    '/rollout.json': async (request) => jsonPage(200, await reportFor(request, pages)),
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
        : refuseRemote(),
    '/override': (request) => overridePage(request, pages.overrides),
  };
}

/** Why a mode was overridden is shown to those alone who may ask for `/override`. */
async function reportFor(request: IncomingMessage, { rollout }: AdminPages): Promise<RolloutReport> {
  const report = await rollout();
  if (isLocal(request)) return report;
  const policies = report.policies.map((policy) => ({
    ...policy,
    override: policy.override && { ...policy.override, reason: null },
  }));
  return { ...report, policies };
}

async function answer(request: IncomingMessage, routes: Routes): Promise<Page> {
  const path = (request.url ?? '').replace(/\?.*$/s, '');
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) return textPage(404, `not found; pages: ${Object.keys(routes).join(' ')}`);
  const methods = METHODS[path] ?? READ_ONLY;
  if (!methods.includes(request.method ?? ''))
    return { ...textPage(405, `${methods.join(' and ')} only`), headers: { allow: methods.join(', ') } };
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
