/** Owns the proof that a service ends in any state of its workers, and that a worker's end leaves no client waiting. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { afterAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { type CheckedService, createScratch, startChecked } from '../support/checked-service.ts';
import { collect, spawnCli } from '../support/process.ts';
import { freshToken, SECRET } from '../support/token.ts';
import { childrenOf, isAlive, readyWorkers } from '../support/workers.ts';

const scratch = createScratch('worker-process');
beforeEach(() => {
  scratch.write('secret', SECRET);
});
afterAll(() => scratch.remove());

const PATIENCE = { timeout: 25_000, interval: 20 };
const CONFIG = {
  keys: [{ id: 'current', secretFile: scratch.path('secret') }],
  workers: 3,
  // Longer than any test: whoever waits for it does not end.
  drain: { delaySeconds: 0, timeoutSeconds: 3600 },
};

async function start(): Promise<CheckedService> {
  const service = await startChecked(scratch, CONFIG);
  onTestFinished(() => service.kill());
  return service;
}

/** A service that has started its first worker; that one is stopped before it listens. */
async function startStopped() {
  const config = stringify({ ...CONFIG, listen: { grpc: '127.0.0.1:0', admin: '127.0.0.1:0' } });
  const primary = spawnCli(['serve', '--config', scratch.write('config.yaml', config)]);
  const [worker = 0] = await vi.waitFor(() => {
    const children = childrenOf(primary.pid);
    expect(children).toHaveLength(1);
    return children;
  }, PATIENCE);
  process.kill(worker, 'SIGSTOP');
  onTestFinished(() => {
    primary.kill('SIGKILL');
    if (isAlive(worker)) process.kill(worker, 'SIGCONT');
  });
  return { primary, worker };
}

describe('on SIGTERM the service does not wait for', () => {
  test('workers that do not serve yet', async () => {
    const service = await start();
    service.signal('SIGTERM');
    expect(await service.ended).toBe(0);
    expect(service.logLines().filter(({ level }) => level === 50)).toEqual([]);
    expect(service.logLines().at(-1)).toMatchObject({ pid: service.pid, msg: 'stopped' });
  });

  test('the first worker, which ends too', async () => {
    const { primary, worker } = await startStopped();
    const ended = once(primary, 'exit');
    primary.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
    process.kill(worker, 'SIGCONT');
    await vi.waitFor(() => expect(isAlive(worker)).toBe(false), PATIENCE);
  });

  test('a worker that is to be started anew', async () => {
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

test('a first worker that is killed before it serves ends the service, which says so', async () => {
  const { primary, worker } = await startStopped();
  const stderr = collect(primary.stderr);
  const ended = once(primary, 'close');
  process.kill(worker, 'SIGKILL');
  expect(await ended).toEqual([1, null]);
  expect(stderr()).toBe('the first worker ended before it served: SIGKILL\n');
});

/** How many file descriptors a process may have from now on; those that it has stay open. */
function limitFiles(pid: number, count: number): void {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${count}:`]);
}

/** Connects, and waits until either side lets go. */
async function knock(address: string): Promise<void> {
  const [host, port] = address.split(':');
  const socket = connect(Number(port), host);
  socket.on('error', () => {});
  socket.resume();
  setTimeout(() => socket.destroy(), 200);
  await new Promise((resolve) => socket.once('close', resolve));
}

test('a service without file descriptors keeps its workers, and has the dead one back once it has some', async () => {
  const service = await start();
  const [victim = 0, ...others] = await readyWorkers(service, CONFIG.workers);
  limitFiles(service.pid, 3);
  process.kill(victim, 'SIGKILL');
  await vi.waitFor(() => {
    const signals = service.logLines().flatMap(({ signal }) => signal ?? []);
    expect(signals.slice(0, 3)).toEqual(['SIGKILL', 'EMFILE', 'EMFILE']);
  }, PATIENCE);
  expect(others.every(isAlive)).toBe(true);
  // Nobody can be let in now, which is no end of the service either.
  for (let attempts = 0; attempts < 5; attempts++) await knock(service.admin);
  limitFiles(service.pid, 1024);
  expect(await readyWorkers(service, CONFIG.workers)).toEqual(expect.arrayContaining(others));
  expect(await service.reasonOf(freshToken())).toBe('ok');
});

/** A connection; `isGreeted` once the server has said a word on it. */
function openSession(address: string): { readonly session: ClientHttp2Session; isGreeted: boolean } {
  const session = connectHttp2(`http://${address}`);
  const opened = { session, isGreeted: false };
  session.on('error', () => {});
  session.once('remoteSettings', () => {
    opened.isGreeted = true;
  });
  return opened;
}

test('a client that was handed to a worker just before its death does not wait for ever', async () => {
  const service = await start();
  const [victim = 0] = await readyWorkers(service, CONFIG.workers);
  process.kill(victim, 'SIGSTOP');
  const opened = Array.from({ length: 8 }, () => openSession(service.grpc));
  const waiting = () => opened.filter(({ session, isGreeted }) => !isGreeted && !session.destroyed);
  await vi.waitFor(() => expect(waiting()).toHaveLength(1), PATIENCE);
  process.kill(victim, 'SIGKILL');
  await vi.waitFor(() => expect(waiting()).toHaveLength(0), PATIENCE);
  for (const { session } of opened) session.destroy();
});
