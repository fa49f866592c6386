/** Compares which paths envoy.yaml leaves unchecked with how upstream servers read them, for many spellings. */
import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import {
  type Sample,
  startSample,
  startSampleService,
  startUpstream,
  type Upstream,
  withSample,
} from '../support/envoy.ts';
import { escapingPaths, PATH_READERS } from '../support/path-readers.ts';
import type { RunningService } from '../support/process.ts';

// Each test sends thousands of requests, on a machine that may be busy with other tests.
vi.setConfig({ testTimeout: 180_000 });

/** Paths that need no token, or have a weaker policy. */
const OPEN = /^\/(public|search)(\/|$)/;
const PATHS = [
  ...escapingPaths(['/public', '/public/a', '/search'], 'orders/42'),
  ...escapingPaths(['/PUBLIC', '/orders/../public'], 'orders/42').filter((_, index) => index % 7 === 0),
  ...[
    '/public;/../orders/42',
    '/public;x=/../../orders/42',
    '/public%3b/../orders/42',
    '/public/.../orders/42',
  ],
  ...['/./public/..;/orders/42', '/public?/../orders/42', '/public/..', '/public/.', '/public/..;'],
];

let upstream: Upstream;
let service: RunningService;

beforeAll(async () => {
  [upstream, service] = await Promise.all([startUpstream(), startSampleService()]);
});
afterAll(async () => {
  await service?.kill();
  await upstream?.close();
});

/** The limit on unverified requests would hide how they were routed. */
function unlimited({ httpFilter }: Sample): void {
  httpFilter('envoy.filters.http.local_ratelimit').setIn(
    ['descriptors', 0, 'token_bucket', 'max_tokens'],
    1_000_000,
  );
}

function addresses() {
  return { services: [service.grpc], upstream: upstream.address };
}

/** Sends requests without a token, ten at a time, and returns the path that reached the upstream for each, if any. */
async function pathsLetThrough(send: (path: string) => Promise<unknown>): Promise<string[]> {
  const before = upstream.seen.length;
  const waiting = PATHS.values();
  const worker = async (): Promise<void> => {
    for (const path of waiting) await send(path);
  };
  await Promise.all(Array.from({ length: 10 }, worker));
  return upstream.seen.slice(before).map(({ path }) => path);
}

/** Over a raw HTTP/1.1 connection, since Node's client rejects paths that an attacker would send. */
function sendHttp1(envoy: RunningEnvoy): (path: string) => Promise<string> {
  return async (path) => {
    const socket = connect(envoy.port('api'), '127.0.0.1');
    socket.write(`GET ${path} HTTP/1.1\r\nhost: api.example.com\r\n\r\n`, 'latin1');
    const [head] = (await once(socket, 'data')) as [Buffer];
    // Envoy keeps the connection open for a second after a 400.
    socket.destroy();
    return head.toString('latin1');
  };
}

function sendHttp2(session: ClientHttp2Session): (path: string) => Promise<unknown> {
  return (path) => {
    const call = session.request({ ':path': path, ':authority': 'api.example.com' });
    call.resume();
    // Envoy may reset the stream because of its path, which counts as refused.
    return once(call, 'close').catch(() => undefined);
  };
}

/** For each model of a server, the paths that it reads as a protected resource. */
function escapes(paths: readonly string[]): Record<string, string[]> {
  return Object.fromEntries(
    PATH_READERS.flatMap(({ name, read }) => {
      const escaped = paths.filter((path) => !OPEN.test(read(path)));
      return escaped.length === 0 ? [] : [[name, escaped]];
    }),
  );
}

describe('no spelling of a path reaches a protected resource unchecked, however the upstream reads it', () => {
  let envoy: RunningEnvoy;
  beforeAll(async () => {
    envoy = await startSample(addresses(), unlimited);
  });
  afterAll(() => envoy?.stop());

  test('over HTTP/1.1', async () => {
    const paths = await pathsLetThrough(sendHttp1(envoy));
    // Some are plain once Envoy has resolved them, so not all are refused for another reason.
    expect(paths).toContain('/public/orders/42');
    expect(escapes(paths)).toEqual({});
  });

  test('over HTTP/2', async () => {
    const session = connectHttp2(`http://127.0.0.1:${envoy.port('api')}`);
    const paths = await pathsLetThrough(sendHttp2(session));
    session.destroy();
    expect(paths).toContain('/public/orders/42');
    expect(escapes(paths)).toEqual({});
  });

  test('plain paths are still allowed', async () => {
    for (const path of [
      '/public',
      '/public/',
      '/public/img/logo-2.min.png',
      '/search?q=/../orders',
      '/search/a_b~c',
    ]) {
      expect(await sendHttp1(envoy)(path), path).toMatch(/^HTTP\/1.1 200 /);
    }
    for (const path of ['/publicity', '/public/.env', '/Public', '/searching', '/web', '/orders']) {
      expect(await sendHttp1(envoy)(path), path).toMatch(/^HTTP\/1.1 401 /);
    }
  });
});

test('with a prefix instead of the pattern, some spellings do reach a protected resource (so this test can fail)', async () => {
  const byPrefix = (sample: Sample): void => {
    unlimited(sample);
    const match = ['route_config', 'virtual_hosts', 0, 'routes', 0, 'match'];
    sample.connectionManager.setIn(match, sample.document.createNode({ path_separated_prefix: '/public' }));
  };
  await withSample(addresses(), byPrefix, async (envoy) => {
    const deceived = escapes(await pathsLetThrough(sendHttp1(envoy)));
    expect(Object.keys(deceived)).toEqual(
      expect.arrayContaining([
        'drops ;… and decodes, as Tomcat',
        'decodes twice',
        'decodes %u, as IIS',
        'accepts overlong UTF-8',
        'trims segments, as Windows',
        'does all of it',
      ]),
    );
  });
});
