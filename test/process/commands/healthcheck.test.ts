/** Owns the proof that `healthcheck` finds the service wherever it listens, and ends with 0 or 1 and nothing else. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { type Finished, type RunningService, runCli, startServe } from '../../support/process.ts';
import { SECRET } from '../../support/token.ts';

const folder = mkdtempSync(join(tmpdir(), 'healthcheck-'));
const services: RunningService[] = [];
const servers: Server[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const service of services.splice(0)) await service.kill();
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) await new Promise((done) => server.close(done));
});
afterAll(() => rmSync(folder, { recursive: true }));

const ENV = { APPROOV_BASE64_SECRET: SECRET };
const HAS_IPV6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === '::1'),
);

async function start(grpc: string, args: readonly string[] = []): Promise<RunningService> {
  const service = await startServe({ ...ENV, APPROOV_GRPC_LISTEN: grpc }, args);
  services.push(service);
  return service;
}

/** Asks at the address that the configuration says the service listens on. */
function healthcheck(grpc: string, env: Readonly<Record<string, string>> = ENV): Promise<Finished> {
  return runCli(['healthcheck'], { ...env, APPROOV_GRPC_LISTEN: grpc });
}

function expectOneLine({ stderr }: Finished): void {
  expect(stderr).toMatch(/^[^\n]+\n$/);
  expect(stderr).not.toMatch(/ at |node:internal/);
}

/** A peer that does with connections what it likes. */
async function startPeer(onConnection: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}));
    onConnection(socket);
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as { port: number }).port}`;
}

describe('a service that serves: exit 0, without a word', () => {
  const quiet = { code: 0, stdout: '', stderr: '' };

  test('on TCP', async () => {
    expect(await healthcheck((await start('127.0.0.1:0')).grpc)).toEqual(quiet);
  });

  test('on every address of the machine', async () => {
    const { grpc } = await start('0.0.0.0:0');
    expect(grpc).toMatch(/^0\.0\.0\.0:\d+$/);
    expect(await healthcheck(grpc)).toEqual(quiet);
  });

  test('on a unix socket', async () => {
    const { grpc } = await start(`unix:${join(folder, 'a.sock')}`);
    expect(await healthcheck(grpc)).toEqual(quiet);
  });

  test.runIf(HAS_IPV6).each(['[::1]:0', '[::]:0'])('on %s (needs IPv6 on this machine)', async (address) => {
    const { grpc } = await start(address);
    expect(grpc).toMatch(/^\[::1?\]:\d+$/);
    expect(await healthcheck(grpc)).toEqual(quiet);
  });

  test('although its key file is bad or gone now: the service serves on with what it has loaded', async () => {
    const file = join(folder, 'secret');
    writeFileSync(file, SECRET);
    const service = await startServe({ APPROOV_BASE64_SECRET_FILE: file });
    services.push(service);
    rmSync(file);
    expect(await healthcheck(service.grpc, { APPROOV_BASE64_SECRET_FILE: file })).toEqual(quiet);
  });
});

describe('anything else: exit 1 and one line', () => {
  test('nobody there', async () => {
    const address = '127.0.0.1:1';
    const finished = await healthcheck(address);
    expect(finished).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(address) });
    expectOneLine(finished);
  });

  test('a unix socket that is not there', async () => {
    const finished = await healthcheck(`unix:${join(folder, 'none.sock')}`);
    expect(finished.code).toBe(1);
    expectOneLine(finished);
  });

  test('a service that drains', async () => {
    writeFileSync(join(folder, 'config.yaml'), 'drain: {delaySeconds: 3600}');
    const service = await start('127.0.0.1:0', ['--config', join(folder, 'config.yaml')]);
    service.signal('SIGTERM');
    await vi.waitFor(async () => expect((await healthcheck(service.grpc)).code).toBe(1), 20_000);
    const finished = await healthcheck(service.grpc);
    expect(finished.stderr).toContain('NOT_SERVING');
    expectOneLine(finished);
  });

  test.each<[name: string, onConnection: (socket: Socket) => void]>([
    ['a peer that never answers', () => {}],
    ['a peer that hangs up', (socket) => socket.destroy()],
    ['a peer that speaks HTTP/1.1', (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')],
    ['a peer that speaks rubbish', (socket) => socket.end(Buffer.alloc(100, 0xff))],
  ])('%s', async (_name, onConnection) => {
    const finished = await healthcheck(await startPeer(onConnection));
    expect(finished.code).toBe(1);
    expectOneLine(finished);
  });

  test('a configuration that cannot be read', async () => {
    const finished = await runCli(['healthcheck', '--config', join(folder, 'none.yaml')], ENV);
    expect(finished.code).toBe(1);
    expectOneLine(finished);
  });

  test('an address that is none', async () => {
    const finished = await healthcheck('9001');
    expect(finished.code).toBe(1);
    expectOneLine(finished);
  });
});
