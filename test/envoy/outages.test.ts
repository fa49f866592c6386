/** Tests Envoy with envoy.yaml when the service does not answer: it fails closed, and tries another instance. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import { countChecks } from '../support/admin-pages.ts';
import {
  accessLogOf,
  eventually,
  type Sample,
  type Sent,
  send,
  setTimeouts,
  startUpstream,
  type Upstream,
  withSample,
} from '../support/envoy.ts';
import { type RunningService, startServe } from '../support/process.ts';
import { connectRaw, FRAME, frame, PREFACE, SETTINGS, times } from '../support/raw-http2.ts';
import { freshToken, SECRET } from '../support/token.ts';

// Each test starts, stops and waits for two instances and an Envoy.
vi.setConfig({ testTimeout: 90_000 });

const folder = mkdtempSync(join(tmpdir(), 'outages-'));
let upstream: Upstream;
/** Started for each test, which may break it. */
let one: RunningService;
/** Shared, as every test leaves it as it is. */
let other: RunningService;

beforeAll(async () => {
  [upstream, other] = await Promise.all([startUpstream(), startInstance()]);
});
afterAll(async () => {
  await other?.kill();
  await upstream?.close();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  one = await startInstance();
});
afterEach(() => one.kill());

function startInstance(): Promise<RunningService> {
  const config = join(folder, 'config.yaml');
  // Long enough for a draining instance to be able to answer until the test ends.
  writeFileSync(config, 'drain: {delaySeconds: 600}\n');
  return startServe({ APPROOV_BASE64_SECRET: SECRET }, ['--config', config]);
}

function addresses(...services: { readonly grpc: string }[]) {
  return { services: services.map(({ grpc }) => grpc), upstream: upstream.address };
}

/** An instance that accepts connections and never sends a byte, not even an HTTP/2 preface. */
async function startSilent(): Promise<{ readonly grpc: string; stop(): void }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => undefined).pause());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    grpc: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** The status of a request with a valid token. */
async function statusOf(envoy: RunningEnvoy, sent: Sent = {}): Promise<number> {
  return (await send(envoy, { ...sent, headers: [['approov-token', freshToken()]] })).status;
}

test('while the service is down, every request gets 503 and the access log says why', async () => {
  await withSample(addresses(one), undefined, async (envoy) => {
    expect(await statusOf(envoy)).toBe(200);
    await one.kill();

    expect(await statusOf(envoy, { path: '/down' })).toBe(503);
    expect(await statusOf(envoy, { path: '/search' })).toBe(503);
    expect(upstream.seen.filter(({ path }) => path === '/down' || path === '/search')).toEqual([]);
    expect(await accessLogOf(envoy, '/down')).toMatchObject({
      details: 'ext_authz_error',
      approov_verdict: null,
    });
    expect(await envoy.stats('^http\\.api\\.ext_authz\\.')).toMatchObject({
      'http.api.ext_authz.error': 2,
      'http.api.ext_authz.failure_mode_allowed': 0,
    });
    expect(await statusOf(envoy, { path: '/public' })).toBe(200);
  });
});

test('a check of a service that hangs ends with the timeout', async () => {
  const asWritten = (sample: Sample): void => setTimeouts(sample, { check: 0.2, oneTry: 0.1 });
  await withSample(addresses(one), asWritten, async (envoy) => {
    one.signal('SIGSTOP');
    expect(await statusOf(envoy)).toBe(503);
  });
});

const CLUSTER = ['static_resources', 'clusters', 0];
const KEEPALIVE = [
  ...[
    ...CLUSTER,
    'typed_extension_protocol_options',
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
  ],
  ...['explicit_http_config', 'http2_protocol_options', 'connection_keepalive'],
];

/** Health checks, outlier detection and PINGs act only seconds later: the first checks after a fault rely on retries. */
function retriesAlone(sample: Sample): void {
  setTimeouts(sample, { check: 20, oneTry: 3 });
  for (const path of [[...CLUSTER, 'health_checks'], [...CLUSTER, 'outlier_detection'], KEEPALIVE]) {
    if (!sample.document.deleteIn(path)) throw new Error(`envoy.yaml has no ${path.join('.')}`);
  }
}

/** Sends concurrent requests with valid tokens; about every second check goes to the faulty instance first. */
async function expectNoneLost(envoy: RunningEnvoy): Promise<void> {
  // More concurrent retries than Envoy's default limit of 3, and within the retry budget.
  const statuses = await Promise.all(Array.from({ length: 30 }, () => statusOf(envoy)));
  expect(new Set(statuses)).toEqual(new Set([200]));
  const { 'cluster.approov_authz.upstream_rq_retry': retries } = await envoy.stats('approov_authz.*retry');
  expect(retries).toBeGreaterThan(3);
}

test.each([
  { name: 'died', signal: 'SIGKILL' },
  { name: 'hangs', signal: 'SIGSTOP' },
] as const)('of two instances one of which $name no check is lost', async ({ signal }) => {
  await withSample(addresses(one, other), retriesAlone, async (envoy) => {
    expect(await statusOf(envoy)).toBe(200);
    one.signal(signal);
    await expectNoneLost(envoy);
  });
});

test('no check is lost when one of two instances accepts connections and never answers', async () => {
  const silent = await startSilent();
  await withSample(addresses(silent, other), retriesAlone, expectNoneLost);
  silent.stop();
});

test('retries do not double the checks when every instance hangs', async () => {
  const CHECKS = 200;
  const everyTryHangs = (sample: Sample): void => {
    retriesAlone(sample);
    // The client sees 503 after this.
    setTimeouts(sample, { check: 8, oneTry: 2 });
  };
  await withSample(addresses(one), everyTryHangs, async (envoy) => {
    expect(await statusOf(envoy)).toBe(200);
    one.signal('SIGSTOP');
    const statuses = await Promise.all(Array.from({ length: CHECKS }, () => statusOf(envoy)));
    expect(new Set(statuses)).toEqual(new Set([503]));
    const stats = await envoy.stats('approov_authz.upstream_rq_retry');
    expect(stats['cluster.approov_authz.upstream_rq_retry']).toBeLessThan(CHECKS);
    expect(stats['cluster.approov_authz.upstream_rq_retry_overflow']).toBeGreaterThan(0);
  });
});

/** Floods the service until it closes the connection, which it decides about when it checks all connections. */
async function untilConnectionsChecked(service: RunningService): Promise<void> {
  const peer = await connectRaw(service.grpc);
  await peer.write(PREFACE, SETTINGS);
  const flood = times(5000, () => frame(FRAME.windowUpdate, 0, 0, Buffer.of(0, 0, 0, 1)));
  while (!peer.isClosed) await peer.write(flood);
}

test('the service keeps its connections to an Envoy whose checks all time out', async () => {
  const allTimeOut = (sample: Sample): void => {
    retriesAlone(sample);
    setTimeouts(sample, { check: 0.2, oneTry: 0.1 });
  };
  const headers = [
    ['approov-token', freshToken()],
    ['x-long', 'a'.repeat(8000)],
  ] as const;
  await withSample(addresses(one), allTimeOut, async (envoy) => {
    for (let round = 0; round < 5; round++) {
      one.signal('SIGSTOP');
      const answers = await Promise.all(Array.from({ length: 40 }, () => send(envoy, { headers })));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
      one.signal('SIGCONT');
      await untilConnectionsChecked(one);
    }
    const { 'cluster.approov_authz.upstream_cx_destroy_remote': closed } = await envoy.stats(
      'approov_authz.upstream_cx_destroy_remote$',
    );
    expect(closed).toBe(0);
  });
});

test('a draining instance soon gets no new checks', async () => {
  await withSample(addresses(one, other), undefined, async (envoy) => {
    const checksByOne = async (): Promise<number> => {
      const before = await countChecks(one.admin);
      for (let count = 0; count < 10; count++) expect(await statusOf(envoy)).toBe(200);
      return (await countChecks(one.admin)) - before;
    };
    expect(await checksByOne()).toBeGreaterThan(0);
    one.signal('SIGTERM');
    await eventually(async () => (await checksByOne()) === 0 || undefined);
    expect(one.logLines().at(-1)).toMatchObject({ msg: 'draining' });
  });
});
