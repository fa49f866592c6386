/** Tests that `healthcheck` reaches the service wherever it listens, and exits with 0 or 1 only. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { runInProcess } from '../../support/in-process.ts';
import { PATIENCE } from '../../support/patience.ts';
import { startPeer } from '../../support/peer.ts';
import { type Finished, type RunningService, runCli, startServe } from '../../support/process.ts';
import { IPV6, SCRIPT, unmet } from '../../support/requirement.ts';
import { SECRET } from '../../support/token.ts';

const folder = mkdtempSync(join(tmpdir(), 'healthcheck-'));
const services: RunningService[] = [];
afterEach(async () => {
  for (const service of services.splice(0)) await service.kill();
});
afterAll(() => rmSync(folder, { recursive: true }));

const ENV = { APPROOV_BASE64_SECRET: SECRET };
const withoutIpv6 = await unmet([IPV6], 'that healthcheck asks a service on IPv6');
const withoutScript = await unmet([SCRIPT], 'that healthcheck says on a terminal where the service serves');

async function start(grpc: string, args: readonly string[] = []): Promise<RunningService> {
  const service = await startServe({ ...ENV, APPROOV_GRPC_LISTEN: grpc }, args);
  services.push(service);
  return service;
}

/** Runs `healthcheck` for a service that listens on this address. */
function healthcheck(grpc: string, env: Readonly<Record<string, string>> = ENV): Promise<Finished> {
  return runInProcess(['healthcheck'], { ...env, APPROOV_GRPC_LISTEN: grpc });
}

function expectOneLine({ stderr }: Finished): void {
  expect(stderr).toMatch(/^[^\n]+\n$/);
  expect(stderr).not.toMatch(/ at |node:internal/);
}

describe('healthcheck exits 0 without output for a service', () => {
  const quiet = { code: 0, stdout: '', stderr: '' };

  let shared: RunningService;
  beforeAll(async () => {
    shared = await startServe(ENV);
  });
  afterAll(() => shared.kill());

  test('on a TCP address', async () => {
    expect(await runCli(['healthcheck'], { ...ENV, APPROOV_GRPC_LISTEN: shared.grpc })).toEqual(quiet);
  });

  test.skipIf(withoutScript !== '')(
    `on a TCP address, but says so on a terminal${withoutScript}`,
    async () => {
      const { grpc } = shared;
      const command = `APPROOV_GRPC_LISTEN=${grpc} ${process.execPath} dist/cli.js healthcheck`;
      const { stdout } = spawnSync('script', ['-qec', command, '/dev/null'], { encoding: 'utf8' });
      expect(stdout.trim()).toBe(`serving on ${grpc}`);
    },
  );

  test('on the wildcard address', async () => {
    const { grpc } = await start('0.0.0.0:0');
    expect(grpc).toMatch(/^0\.0\.0\.0:\d+$/);
    expect(await healthcheck(grpc)).toEqual(quiet);
  });

  test('on a Unix socket', async () => {
    const { grpc } = await start(`unix:${join(folder, 'a.sock')}`);
    expect(await healthcheck(grpc)).toEqual(quiet);
  });

  test.skipIf(withoutIpv6 !== '').each(['[::1]:0', '[::]:0'])(`on %s${withoutIpv6}`, async (address) => {
    const { grpc } = await start(address);
    expect(grpc).toMatch(/^\[::1?\]:\d+$/);
    expect(await healthcheck(grpc)).toEqual(quiet);
  });

  test('whose key file has been removed since: it keeps its last good state', async () => {
    const file = join(folder, 'secret');
    writeFileSync(file, SECRET);
    const service = await startServe({ APPROOV_BASE64_SECRET_FILE: file });
    services.push(service);
    rmSync(file);
    expect(await healthcheck(service.grpc, { APPROOV_BASE64_SECRET_FILE: file })).toEqual(quiet);
  });
});

describe('healthcheck exits 1 with one line for', () => {
  test('an address without a listener', async () => {
    const address = '127.0.0.1:1';
    const finished = await runCli(['healthcheck'], { ...ENV, APPROOV_GRPC_LISTEN: address });
    expect(finished).toEqual({
      code: 1,
      stdout: '',
      stderr: `${address}: connection refused (ECONNREFUSED)\n`,
    });
  });

  test('a missing Unix socket', async () => {
    const address = `unix:${join(folder, 'none.sock')}`;
    const finished = await healthcheck(address);
    expect(finished).toEqual({ code: 1, stdout: '', stderr: `${address}: no such socket (ENOENT)\n` });
  });

  test('a service that is draining', async () => {
    writeFileSync(join(folder, 'config.yaml'), 'drain: {delaySeconds: 3600}');
    const service = await start('127.0.0.1:0', ['--config', join(folder, 'config.yaml')]);
    service.signal('SIGTERM');
    await vi.waitFor(async () => expect((await healthcheck(service.grpc)).code).toBe(1), PATIENCE);
    const finished = await healthcheck(service.grpc);
    expect(finished.stderr).toBe(`${service.grpc}: NOT_SERVING: draining, or no key is loaded\n`);
  });

  test.each<[name: string, onConnection: (socket: Socket) => void]>([
    ['a peer that never answers', () => {}],
    ['a peer that closes the connection', (socket) => socket.destroy()],
    ['a peer that speaks HTTP/1.1', (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')],
    ['a peer that sends garbage', (socket) => socket.end(Buffer.alloc(100, 0xff))],
  ])('%s', async (_name, onConnection) => {
    const finished = await healthcheck(await startPeer(onConnection));
    expect(finished.code).toBe(1);
    expectOneLine(finished);
  });

  test('an admin port that never answers, which is asked under mTLS', async () => {
    const admin = await startPeer(() => {});
    const tls = 'tls: {certFile: a, keyFile: b, clientCaFile: c}';
    writeFileSync(join(folder, 'mtls.yaml'), `listen: {admin: "${admin}", ${tls}}`);
    const finished = await runInProcess(['healthcheck', '--config', join(folder, 'mtls.yaml')], ENV);
    expect(finished).toEqual({ code: 1, stdout: '', stderr: `${admin}: no response within 2000 ms\n` });
  });

  test('a missing configuration file', async () => {
    const finished = await runInProcess(['healthcheck', '--config', join(folder, 'none.yaml')], ENV);
    expect(finished.code).toBe(1);
    expectOneLine(finished);
  });

  test('a malformed address', async () => {
    const finished = await healthcheck('9001');
    expect(finished.code).toBe(1);
    expectOneLine(finished);
  });
});
