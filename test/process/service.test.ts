/** Tests the lifecycle of the process: start-up log lines, drain and stop. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials, type MethodDefinition, type ServiceError, status } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { endOfLifeWarning } from '../../src/server/node-release.ts';
import { createCheckClient, metadataOf, requestWith } from '../support/grpc-client.ts';
import { runInProcess } from '../support/in-process.ts';
import { PATIENCE } from '../support/patience.ts';
import { type RunningService, startServe } from '../support/process.ts';
import { freshToken, SECRET } from '../support/token.ts';
import { HAS_STREAMING } from '../support/transport.ts';

const folder = mkdtempSync(join(tmpdir(), 'service-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Longer than any test: a service that waits for it fails the test. */
const LONG = 3600;

/** A ServerReflectionRequest with an empty `list_services` (field 7), as a gRPC message. */
const LIST_SERVICES = Buffer.of(0, 0, 0, 0, 2, 0x3a, 0);

let service: RunningService;
afterEach(() => service.kill());

async function start(config: string): Promise<RunningService> {
  writeFileSync(join(folder, 'config.yaml'), config);
  service = await startServe({ APPROOV_BASE64_SECRET: SECRET }, ['--config', join(folder, 'config.yaml')]);
  return service;
}

async function readyz(): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`http://${service.admin}/readyz`);
  return { status: response.status, body: await response.json() };
}

async function health(): Promise<number | null> {
  return (
    await runInProcess(['healthcheck'], { APPROOV_BASE64_SECRET: SECRET, APPROOV_GRPC_LISTEN: service.grpc })
  ).code;
}

/** Uses a connection of its own. */
async function reasonOfCheck(): Promise<unknown> {
  const client = createCheckClient(service.grpc);
  const answer = await client
    .check(requestWith({ 'approov-token': freshToken() }))
    .finally(() => client.close());
  return metadataOf(answer)['approov_reason'];
}

/** A check that was decided, whose response the client does not read until `take`. */
async function openCheck(): Promise<{
  session: ClientHttp2Session;
  answered: Promise<string>;
  take(): void;
}> {
  const session = connectHttp2(`http://${service.grpc}`, { settings: { initialWindowSize: 0 } });
  session.on('error', () => {});
  const headers = { ':method': 'POST', ':path': '/envoy.service.auth.v3.Authorization/Check' };
  const call = session.request({ ...headers, 'content-type': 'application/grpc', te: 'trailers' });
  call.on('error', () => {});
  call.on('data', () => {});
  const answered = new Promise<string>((resolve) => {
    call.on('trailers', (trailers) => resolve(`grpc-status ${trailers['grpc-status']}`));
    call.on('close', () => resolve('closed'));
  });
  call.end(Buffer.alloc(5));
  await once(call, 'response');
  return { session, answered, take: () => session.settings({ initialWindowSize: 65_535 }) };
}

async function openSocket(address: string): Promise<Socket> {
  const [host = '', port] = address.split(':');
  const socket = connect(Number(port), host).on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

describe('at start', () => {
  test('the service logs its addresses, and warns about each policy that does not enforce', async () => {
    await start('policies: {a: {mode: observe}, b: {mode: off}, c: {mode: limit}}');
    const lines = service.logLines();
    expect(lines.find(({ msg }) => msg === 'serving')).toMatchObject({
      level: 'info',
      grpc: service.grpc,
      admin: service.admin,
    });
    expect(lines.filter(({ level, policy }) => level === 'warn' && policy !== undefined)).toMatchObject([
      { policy: 'a', mode: 'observe' },
      { policy: 'b', mode: 'off' },
      { policy: 'c', mode: 'limit' },
    ]);
    expect(service.grpc).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
  });

  test('the service warns if the Node release has reached end of life', async () => {
    await start('{}');
    const warning = endOfLifeWarning(process.versions.node, new Date());
    const lines = service.logLines().filter(({ msg }) => String(msg).startsWith('Node '));
    expect(lines).toMatchObject(warning === undefined ? [] : [{ level: 'warn', msg: warning }]);
  });

  test('the service is ready, alive and healthy, and shows its configuration with the key’s fingerprint', async () => {
    await start('{}');
    expect(await readyz()).toMatchObject({
      status: 200,
      body: { status: 'ready', components: { process: 'serving' } },
    });
    expect((await fetch(`http://${service.admin}/livez`)).status).toBe(200);
    expect(await health()).toBe(0);
    const config = await (await fetch(`http://${service.admin}/config`)).text();
    expect(config).toContain('fingerprint: 1e83a834947c');
    expect(config).toContain(`grpc: 127.0.0.1:0 # from APPROOV_GRPC_LISTEN`);
    expect(config).not.toContain(SECRET.slice(0, 16));
  });
});

describe.each(['SIGTERM', 'SIGINT'] as const)('on %s', (signal) => {
  test('the service is not ready and NOT_SERVING at once, answers checks and new connections until the delay is over, and exits on a second signal', async () => {
    await start(`drain: {delaySeconds: ${LONG}}`);
    const client = createCheckClient(service.grpc);
    expect(metadataOf(await client.check(requestWith({})))['approov_reason']).toBe('missing_approov_token');
    service.signal(signal);
    await vi.waitFor(async () => expect((await readyz()).status).toBe(503), PATIENCE);
    expect((await readyz()).body).toMatchObject({ status: 'not ready', components: { process: 'draining' } });
    expect((await fetch(`http://${service.admin}/livez`)).status).toBe(200);
    expect(await health()).toBe(1);
    expect(metadataOf(await client.check(requestWith({})))['approov_reason']).toBe('missing_approov_token');
    expect(await reasonOfCheck()).toBe('ok');
    client.close();
    service.signal(signal);
    expect(await service.ended).not.toBeNull();
  });

  test('the service sends GOAWAY, accepts no new connection, answers the checks in flight, and exits 0', async () => {
    await start(`drain: {delaySeconds: 0, timeoutSeconds: ${LONG}}`);
    const { session, answered, take } = await openCheck();
    const goaway = once(session, 'goaway');
    service.signal(signal);
    expect((await goaway)[0]).toBe(0);
    await vi.waitFor(() => expect(reasonOfCheck()).rejects.toThrow('ECONNREFUSED'), PATIENCE);
    expect((await readyz()).status).toBe(503);
    take();
    expect(await answered).toBe('grpc-status 0');
    expect(await service.ended).toBe(0);
    const lifecycle = ['serving', 'draining', 'stopped'];
    const messages = service.logLines().map(({ msg }) => String(msg));
    expect(messages.filter((msg) => lifecycle.includes(msg))).toEqual(lifecycle);
  });
});

describe('the drain', () => {
  test('ends with exit 0 after its timeout, even if a client never reads its response', async () => {
    await start('drain: {delaySeconds: 0, timeoutSeconds: 1}');
    const { session } = await openCheck();
    service.signal('SIGTERM');
    expect(await service.ended).toBe(0);
    session.destroy();
  });

  test('ends with exit 0 after its timeout, even if a peer never sends anything', async () => {
    await start('drain: {delaySeconds: 0, timeoutSeconds: 1}');
    const silent = await openSocket(service.grpc);
    service.signal('SIGTERM');
    expect(await service.ended).toBe(0);
    silent.destroy();
  });

  test.runIf(HAS_STREAMING)(
    'does not wait for health watchers: they get NOT_SERVING and UNAVAILABLE',
    async () => {
      await start(`drain: {delaySeconds: 0, timeoutSeconds: ${LONG}}`);
      const client = new Client(service.grpc, credentials.createInsecure());
      const { path, requestSerialize, responseDeserialize } = healthService['Watch'] as MethodDefinition<
        object,
        object
      >;
      const watch = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {
        service: '',
      });
      const states: unknown[] = [];
      watch.on('data', ({ status: state }: { status: string }) => states.push(state));
      watch.on('error', ({ code }: ServiceError) => states.push(code));
      await once(watch, 'data');
      service.signal('SIGTERM');
      expect(await service.ended).toBe(0);
      // The last event may reach this process after the exit of the service.
      await vi.waitFor(
        () => expect(states).toEqual(['SERVING', 'NOT_SERVING', status.UNAVAILABLE]),
        PATIENCE,
      );
      client.close();
    },
  );

  test.runIf(HAS_STREAMING)('does not wait for an open reflection stream', async () => {
    await start(`drain: {delaySeconds: 0, timeoutSeconds: ${LONG}}`);
    const session = connectHttp2(`http://${service.grpc}`);
    session.on('error', () => {});
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', () => {});
    stream.resume();
    stream.write(LIST_SERVICES);
    await once(stream, 'response');
    const trailers = once(stream, 'trailers');
    service.signal('SIGTERM');
    expect((await trailers)[0]['grpc-status']).toBe(String(status.UNAVAILABLE));
    expect(await service.ended).toBe(0);
    session.destroy();
  });

  test('does not wait for idle connections', async () => {
    await start(`drain: {delaySeconds: 0, timeoutSeconds: ${LONG}}`);
    const idle = createCheckClient(service.grpc);
    await idle.check(requestWith({}));
    const admin = await openSocket(service.admin);
    service.signal('SIGTERM');
    expect(await service.ended).toBe(0);
    idle.close();
    admin.destroy();
  });

  test('reports suppressed log lines', async () => {
    await start('drain: {delaySeconds: 0}');
    const client = createCheckClient(service.grpc);
    await Promise.all(Array.from({ length: 100 }, () => client.check(requestWith({}))));
    client.close();
    service.signal('SIGTERM');
    expect(await service.ended).toBe(0);
    const lines = service.logLines().filter(({ reason }) => reason === 'missing_approov_token');
    const suppressed = lines.reduce((sum, line) => sum + Number(line['suppressed'] ?? 0), 0);
    expect(lines.filter(({ msg }) => msg === 'check failed').length + suppressed).toBe(100);
    expect(service.logLines().map(({ msg }) => msg)).toContain('stopped');
  });
});
