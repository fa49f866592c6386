/** Runs a real Envoy with envoy.yaml in front of the real service and an upstream that reports what reached it. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Document, isMap, parseDocument, type YAMLMap, type YAMLSeq } from 'yaml';
import { type RunningEnvoy, relocate, startEnvoy } from '../../scripts/envoy.mjs';
import { type RunningService, startServe } from './process.ts';
import { SECRET } from './token.ts';

export const ENVOY_CONFIG = fileURLToPath(new URL('../../envoy.yaml', import.meta.url));
/** The variant for signed requests. */
export const SIGNED_ENVOY_CONFIG = fileURLToPath(
  new URL('../../deploy/message-signatures/envoy.yaml', import.meta.url),
);
export const SERVICE_CONFIG = fileURLToPath(new URL('../../deploy/config/config.yaml', import.meta.url));

const CONNECTION_MANAGER = [
  'static_resources',
  'listeners',
  0,
  'filter_chains',
  0,
  'filters',
  0,
  'typed_config',
];

/** The nodes of envoy.yaml that variants change. */
export interface Sample {
  readonly document: Document;
  readonly connectionManager: YAMLMap;
  /** The settings of an HTTP filter. */
  httpFilter(name: string): YAMLMap;
  /** Inserts another HTTP filter before all others. */
  addHttpFilterFirst(filter: unknown): void;
  /** Inserts another HTTP filter after an existing one. */
  addHttpFilterAfter(name: string, filter: unknown): void;
}

export function readEnvoySample(file: string = ENVOY_CONFIG): Sample {
  const document = parseDocument(readFileSync(file, 'utf8'));
  const connectionManager = mapAt(document, CONNECTION_MANAGER);
  const httpFilterIndex = (name: string): number => {
    const filters = connectionManager.toJS(document)['http_filters'] as { name: string }[];
    const index = filters.findIndex((filter) => filter.name === name);
    if (index === -1) throw new Error(`envoy.yaml has no filter ${name}`);
    return index;
  };
  return {
    document,
    connectionManager,
    addHttpFilterFirst(filter) {
      (connectionManager.get('http_filters') as YAMLSeq).items.unshift(document.createNode(filter));
    },
    addHttpFilterAfter(name, filter) {
      const { items } = connectionManager.get('http_filters') as YAMLSeq;
      items.splice(httpFilterIndex(name) + 1, 0, document.createNode(filter));
    },
    httpFilter: (name) =>
      mapAt(document, [...CONNECTION_MANAGER, 'http_filters', httpFilterIndex(name), 'typed_config']),
  };
}

function mapAt(document: Document, path: readonly (string | number)[]): YAMLMap {
  const node = document.getIn(path, true);
  if (!isMap(node)) throw new Error(`envoy.yaml has no ${path.join('.')}`);
  return node;
}

export const EXT_AUTHZ = 'envoy.filters.http.ext_authz';

export interface Addresses {
  /** gRPC addresses, one per instance of the service. */
  readonly services: readonly string[];
  readonly upstream: string;
}

/**
 * Runs envoy.yaml with other addresses, or a variant of it. The timeouts of a check and of connecting to the service are
 * raised: on a machine busy with other tests both may take longer, which is not what these tests are about.
 */
export function startSample(
  addresses: Addresses,
  change: (sample: Sample) => void = () => undefined,
  file: string = ENVOY_CONFIG,
  binary?: string,
): Promise<RunningEnvoy> {
  const sample = readEnvoySample(file);
  setTimeouts(sample, { check: 20, oneTry: 5 });
  sample.document.setIn(['static_resources', 'clusters', 0, 'connect_timeout'], '5s');
  change(sample);
  return startEnvoy(
    relocate(sample.document.toJS(), {
      '0.0.0.0:10000': '127.0.0.1:0',
      '127.0.0.1:9901': '127.0.0.1:0',
      'approov-ext-authz:9001': addresses.services,
      'upstream:8080': addresses.upstream,
    }),
    binary,
  );
}

/** Runs a variant of envoy.yaml until `use` resolves. */
export async function withSample(
  addresses: Addresses,
  change: ((sample: Sample) => void) | undefined,
  use: (envoy: RunningEnvoy) => Promise<void>,
): Promise<void> {
  const envoy = await startSample(addresses, change);
  try {
    await use(envoy);
  } finally {
    await envoy.stop();
  }
}

/** Sets the timeout of a check and of each try, in seconds; envoy.yaml has 0.2 and 0.1. */
export function setTimeouts({ httpFilter }: Sample, seconds: { check: number; oneTry: number }): void {
  const service = httpFilter(EXT_AUTHZ).get('grpc_service') as YAMLMap;
  service.set('timeout', `${seconds.check}s`);
  service.setIn(['initial_metadata', 0, 'value'], String(seconds.oneTry * 1000));
  // Envoy up to 1.40 applies this limit to each try as well, and 1.41 does not; tests must not depend on it.
  service.setIn(['retry_policy', 'retry_back_off', 'max_interval'], '20s');
}

/** Starts the service with the sample configuration and the test secret. */
export function startSampleService(): Promise<RunningService> {
  return startServe({ APPROOV_BASE64_SECRET: SECRET }, ['--config', SERVICE_CONFIG]);
}

/** A request as the upstream saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  /** Each header line, names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface Upstream {
  readonly address: string;
  /** Every request so far, oldest first, including upgrades and tunnels. */
  readonly seen: readonly SeenRequest[];
  close(): Promise<void>;
}

/** An API that answers each request with what it received, and echoes bytes on WebSockets and tunnels. */
export async function startUpstream(): Promise<Upstream> {
  const seen: SeenRequest[] = [];
  const note = (request: IncomingMessage): SeenRequest => {
    const { method = '', url: path = '', rawHeaders } = request;
    const entry = { method, path, headers: headerLines(rawHeaders) };
    seen.push(entry);
    return entry;
  };
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'application/json', 'x-from': 'upstream' });
    response.end(JSON.stringify(note(request)));
  });
  const sockets = new Set<Duplex>();
  const echo = (head: string) => (request: IncomingMessage, socket: Duplex) => {
    note(request);
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.write(head);
    socket.pipe(socket);
  };
  server.on(
    'upgrade',
    echo('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'),
  );
  server.on('connect', echo('HTTP/1.1 200 OK\r\n\r\n'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface Sent {
  readonly method?: string;
  readonly path?: string;
  /** Header lines in order; names may repeat, and values are any latin1 text. */
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: Buffer;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  /** What the upstream received; `undefined` if the answer came from Envoy. */
  readonly upstream: SeenRequest | undefined;
}

/** Sends one request to Envoy's listener, for the host api.example.com. */
export async function send(envoy: RunningEnvoy, sent: Sent = {}): Promise<Answer> {
  const call = httpRequest({
    host: '127.0.0.1',
    port: envoy.port('api'),
    agent: false,
    ...nodeRequest(sent),
  });
  call.end(sent.body);
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  const body = await text(response);
  const isUpstream = response.headers['x-from'] === 'upstream' && body !== '';
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body,
    upstream: isUpstream ? (JSON.parse(body) as SeenRequest) : undefined,
  };
}

/** The outcome of an upgrade or CONNECT request: the open connection, or the status of the denial. */
export async function open(
  envoy: RunningEnvoy,
  sent: Sent,
): Promise<{ readonly status: number; readonly socket: Duplex | undefined }> {
  const call = httpRequest({
    host: '127.0.0.1',
    port: envoy.port('api'),
    agent: false,
    ...nodeRequest(sent),
  });
  call.end();
  return new Promise((resolve, reject) => {
    call.on('error', reject);
    call.on('response', (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, socket: undefined });
    });
    for (const event of ['upgrade', 'connect'] as const) {
      call.on(event, (response, socket) => {
        const status = response.statusCode ?? 0;
        // Node emits `connect` for a refused tunnel as well.
        const isOpen = status < 300;
        if (!isOpen) socket.destroy();
        resolve({ status, socket: isOpen ? socket : undefined });
      });
    }
  });
}

function nodeRequest({ method = 'GET', path = '/orders', headers = [], body }: Sent) {
  const length = body === undefined ? [] : [['content-length', String(body.length)]];
  return { method, path, headers: [['host', 'api.example.com'], ...length, ...headers].flat() };
}

export function headerLines(rawHeaders: readonly string[]): [name: string, value: string][] {
  const lines: [string, string][] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    lines.push([rawHeaders[index]?.toLowerCase() ?? '', rawHeaders[index + 1] ?? '']);
  }
  return lines;
}

/** The lines of a request's headers whose name contains a text, e.g. every x-approov-… */
export function linesWith(request: SeenRequest | undefined, part: string): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const [name, value] of request?.headers ?? []) {
    if (!name.includes(part)) continue;
    found[name] = [...(found[name] ?? []), value];
  }
  return found;
}

/** Polls until the result is defined. The limit is generous, for busy machines. */
export async function eventually<T>(
  look: () => T | undefined | Promise<T | undefined>,
  limitSeconds = 60,
): Promise<T> {
  const deadline = Date.now() + limitSeconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`condition not met within ${limitSeconds} s`);
    await sleep(20);
  }
}

/** Waits for the access log line of a path that was requested once. */
export function accessLogOf(envoy: RunningEnvoy, path: string): Promise<Readonly<Record<string, unknown>>> {
  return eventually(() => envoy.accessLog().find((line) => line['path'] === path));
}
