/** Tests that a service stops in any state of its workers, and that a dead worker leaves no client waiting. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { afterAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { type CheckedService, createScratch, startChecked } from '../support/checked-service.ts';
import { PATIENCE } from '../support/patience.ts';
import { collect, spawnCli } from '../support/process.ts';
import { freshToken, SECRET } from '../support/token.ts';
import { isAlive, readyWorkers, suspendedChildrenOf } from '../support/workers.ts';

const scratch = createScratch('worker-channel');
beforeEach(() => {
  scratch.write('secret', SECRET);
});
afterAll(() => scratch.remove());

const CONFIG = {
  keys: [{ id: 'current', secretFile: scratch.path('secret') }],
  workers: 3,
  // Longer than any test: a service that waits for the drain does not end.
  drain: { delaySeconds: 0, timeoutSeconds: 3600 },
};

async function start(): Promise<CheckedService> {
  const service = await startChecked(scratch, CONFIG);
  onTestFinished(() => service.kill());
  return service;
}

/**
 * Run by Node before the program: a worker suspends itself. A test that sent the signal might come too late, when the
 * worker already listens, or too early, between fork and exec, where a suspended child holds up its parent.
 */
const SUSPEND_WORKERS = `import cluster from 'node:cluster'; if (cluster.isWorker) process.kill(process.pid, 'SIGSTOP');`;

/** A primary whose first worker is suspended before it listens. */
async function startSuspended() {
  const config = stringify({ ...CONFIG, listen: { grpc: '127.0.0.1:0', admin: '127.0.0.1:0' } });
  const primary = spawnCli(['serve', '--config', scratch.write('config.yaml', config)], {
    NODE_OPTIONS: `--import=data:text/javascript;base64,${Buffer.from(SUSPEND_WORKERS).toString('base64')}`,
  });
  let suspended: readonly number[] = [];
  onTestFinished(() => {
    primary.kill('SIGKILL');
    for (const worker of suspended.filter(isAlive)) process.kill(worker, 'SIGCONT');
  });
  const [worker = 0] = await vi.waitFor(() => {
    suspended = suspendedChildrenOf(primary.pid);
    expect(suspended).toHaveLength(1);
    return suspended;
  }, PATIENCE);
  return { primary, worker };
}

describe('SIGTERM stops the service', () => {
  test('while workers are starting', async () => {
    const service = await start();
    service.signal('SIGTERM');
    expect(await service.ended).toBe(0);
    expect(service.logLines().filter(({ level }) => level === 'error')).toEqual([]);
    expect(service.logLines().at(-1)).toMatchObject({ pid: service.pid, msg: 'stopped' });
  });

  test('while its first worker is starting, which then exits too', async () => {
    const { primary, worker } = await startSuspended();
    const ended = once(primary, 'exit');
    primary.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
    process.kill(worker, 'SIGCONT');
    await vi.waitFor(() => expect(isAlive(worker)).toBe(false), PATIENCE);
  });

  test('while a worker waits for its restart', async () => {
    const service = await start();
    const [victim = 0] = await readyWorkers(service, CONFIG.workers);
    scratch.write('secret', 'x');
    process.kill(victim, 'SIGKILL');
    await vi.waitFor(() => expect(service.output()).toContain('restart_in_ms'), PATIENCE);
    service.signal('SIGTERM');
    expect(await service.ended).toBe(0);
    expect(service.logLines().at(-1)).toMatchObject({ pid: service.pid, msg: 'stopped' });
  });
});

test('a first worker that is killed before it listens ends the service with exit 1 and one line', async () => {
  const { primary, worker } = await startSuspended();
  const stderr = collect(primary.stderr);
  const ended = once(primary, 'close');
  process.kill(worker, 'SIGKILL');
  expect(await ended).toEqual([1, null]);
  expect(stderr()).toBe('first worker failed to start: killed by SIGKILL\n');
});

/** Limits the file descriptors of a running process; open ones stay open. */
function limitFiles(pid: number, count: number): void {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${count}:`]);
}

/** Connects, and waits until either side closes the connection. */
async function connectAndClose(address: string): Promise<void> {
  const [host, port] = address.split(':');
  const socket = connect(Number(port), host);
  socket.on('error', () => {});
  socket.resume();
  setTimeout(() => socket.destroy(), 200);
  await new Promise((resolve) => socket.once('close', resolve));
}

test('a service out of file descriptors keeps its workers, and restarts a dead one once it has some', async () => {
  const service = await start();
  const [victim = 0, ...others] = await readyWorkers(service, CONFIG.workers);
  limitFiles(service.pid, 3);
  process.kill(victim, 'SIGKILL');
  await vi.waitFor(() => {
    const exits = service.logLines().filter(({ msg }) => String(msg).startsWith('worker '));
    expect(exits.slice(0, 3)).toMatchObject([
      { msg: 'worker killed', signal: 'SIGKILL' },
      { msg: 'worker failed to start: cannot spawn process', error: 'EMFILE' },
      { msg: 'worker failed to start: cannot spawn process', error: 'EMFILE' },
    ]);
  }, PATIENCE);
  expect(others.every(isAlive)).toBe(true);
  // Failing to accept connections must not end the service either.
  for (let attempts = 0; attempts < 5; attempts++) await connectAndClose(service.admin);
  limitFiles(service.pid, 1024);
  expect(await readyWorkers(service, CONFIG.workers)).toEqual(expect.arrayContaining(others));
  expect(await service.reasonOf(freshToken())).toBe('ok');
});

/** A connection; `isServed` once the server has sent its settings. */
function openSession(address: string): { readonly session: ClientHttp2Session; isServed: boolean } {
  const session = connectHttp2(`http://${address}`);
  const opened = { session, isServed: false };
  session.on('error', () => {});
  session.once('remoteSettings', () => {
    opened.isServed = true;
  });
  return opened;
}

test('a connection handed to a worker just before it dies is closed, not left open', async () => {
  const service = await start();
  const [victim = 0] = await readyWorkers(service, CONFIG.workers);
  process.kill(victim, 'SIGSTOP');
  const opened = Array.from({ length: 8 }, () => openSession(service.grpc));
  const waiting = () => opened.filter(({ session, isServed }) => !isServed && !session.destroyed);
  await vi.waitFor(() => expect(waiting()).toHaveLength(1), PATIENCE);
  process.kill(victim, 'SIGKILL');
  await vi.waitFor(() => expect(waiting()).toHaveLength(0), PATIENCE);
  for (const { session } of opened) session.destroy();
});
