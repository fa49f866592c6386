/** Tests a service with several workers: one port, one set of metrics, reload, drain, and restarts of workers. */
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { readMetrics, readReadyz } from '../support/admin-pages.ts';
import { type CheckedService, createScratch, startChecked } from '../support/checked-service.ts';
import { type CheckClient, createCheckClient, metadataOf, requestWith } from '../support/grpc-client.ts';
import { PATIENCE } from '../support/patience.ts';
import { runCli } from '../support/process.ts';
import { freshToken, OTHER_SECRET, OTHER_SECRET_BYTES, SECRET } from '../support/token.ts';
import { isAlive, readyWorkers } from '../support/workers.ts';

const scratch = createScratch('workers');
const secretFile = scratch.path('secret');
const keys = [{ id: 'current', secretFile }];
afterAll(() => scratch.remove());

let service: CheckedService | undefined;
let clients: CheckClient[] = [];
beforeEach(() => {
  scratch.write('secret', SECRET);
});
afterEach(async () => {
  for (const client of clients) client.close();
  clients = [];
  await service?.kill();
  service = undefined;
});

async function start(more: object = {}, env: Readonly<Record<string, string>> = {}): Promise<CheckedService> {
  const config = { keys, workers: 2, log: { checks: 'all' }, drain: { delaySeconds: 0 }, ...more };
  service = await startChecked(scratch, config, env);
  return service;
}

async function startTwo(more: object = {}, env: Readonly<Record<string, string>> = {}) {
  const running = await start(more, env);
  return { running, pids: await readyWorkers(running) };
}

const sharedScratch = createScratch('shared-workers');
let shared: CheckedService | undefined;
afterAll(async () => {
  await shared?.kill();
  sharedScratch.remove();
});

/** The service for the tests that leave it with two workers. */
async function shareTwo() {
  const secret = sharedScratch.write('secret', SECRET);
  shared ??= await startChecked(sharedScratch, {
    keys: [{ id: 'current', secretFile: secret }],
    workers: 2,
    log: { checks: 'all' },
  });
  return { running: shared, pids: await readyWorkers(shared) };
}

/** A client on a connection of its own, and the pid of the worker that serves it, according to the log. */
async function connectTo(running: CheckedService): Promise<{ client: CheckClient; pid: number }> {
  const client = createCheckClient(running.grpc);
  clients.push(client);
  const did = `device-${clients.length}-${Math.random()}`;
  await client.check(requestWith({ 'approov-token': freshToken({ did }) }));
  const line = await vi.waitFor(() => {
    const found = running.logLines().find((each) => each['did'] === did);
    expect(found).toBeDefined();
    return found;
  }, PATIENCE);
  return { client, pid: Number(line?.['pid']) };
}

/** A client of each worker. */
async function connectToEach(
  running: CheckedService,
  pids: readonly number[],
): Promise<Map<number, CheckClient>> {
  const found = new Map<number, CheckClient>();
  while (!pids.every((pid) => found.has(pid))) {
    const { client, pid } = await connectTo(running);
    found.set(pid, client);
  }
  return found;
}

async function reasonBy(client: CheckClient, token = freshToken()): Promise<string> {
  return String(metadataOf(await client.check(requestWith({ 'approov-token': token })))['approov_reason']);
}

const OK_CHECKS =
  'approov_checks_total{policy="default",mode="enforce",verdict="verified",action="allow",reason="ok"}';
const INVALID_CONFIGURATION = 'worker failed to start: invalid configuration';
const VERIFICATIONS = 'approov_key_verifications_total{key_id="current"}';

describe('two workers', () => {
  test('serve connections on the same port', async () => {
    const { running, pids } = await shareTwo();
    expect(pids).not.toContain(running.pid);
    const each = await connectToEach(running, pids);
    expect([...each.keys()].sort()).toEqual([...pids].sort());
    for (const client of each.values()) expect(await reasonBy(client)).toBe('ok');
  });

  test('share one /metrics, which sums counters and keeps values that are the same in every worker', async () => {
    const { running, pids } = await startTwo();
    const each = await connectToEach(running, pids);
    const before = clients.length;
    for (const client of each.values()) {
      for (let checks = 0; checks < 10; checks++) expect(await reasonBy(client)).toBe('ok');
    }
    const metrics = await vi.waitFor(async () => {
      // A worker that is slow to report is represented by its last report.
      const scraped = await readMetrics(running.admin);
      expect(scraped.get(OK_CHECKS)).toBe(before + 20);
      expect(scraped.get('approov_checks_in_flight')).toBe(0);
      return scraped;
    }, PATIENCE);
    expect(metrics.get(VERIFICATIONS)).toBe(before + 20);
    expect(metrics.get('approov_check_duration_seconds_count{action="allow"}')).toBe(before + 20);
    expect(metrics.get('approov_policy_mode{policy="default",mode="enforce"}')).toBe(1);
    expect([...metrics].find(([name]) => name.startsWith('approov_build_info'))?.[1]).toBe(1);
    expect(metrics.get('approov_worker_restarts_total')).toBe(0);
    expect(metrics.get('process_start_time_seconds')).toBeGreaterThan(1e9);
    expect(metrics.get('approov_key_last_used_timestamp_seconds{key_id="current"}')).toBeGreaterThan(1e9);
  });

  test('can be scraped many times without a warning of leaked listeners', async () => {
    const { running } = await shareTwo();
    for (let scrapes = 0; scrapes < 15; scrapes++) await readMetrics(running.admin);
    expect(running.output()).not.toContain('Warning');
  });

  test('share a Unix socket, also with a restarted worker', async () => {
    const path = scratch.path('shared.sock');
    const { running, pids } = await startTwo({}, { APPROOV_GRPC_LISTEN: `unix:${path}` });
    expect(running.grpc).toBe(`unix:${path}`);
    expect(statSync(path).mode & 0o777).toBe(0o660);
    const each = await connectToEach(running, pids);
    for (const client of each.values()) expect(await reasonBy(client)).toBe('ok');
    process.kill(pids[0] ?? 0, 'SIGKILL');
    await vi.waitFor(async () => expect(await readyWorkers(running)).not.toContain(pids[0]), PATIENCE);
    await connectToEach(running, await readyWorkers(running));
    expect(statSync(path).mode & 0o777).toBe(0o660);
  });

  test('replace the stale Unix socket of a killed service', async () => {
    const env = { APPROOV_GRPC_LISTEN: `unix:${scratch.path('stale.sock')}` };
    const killed = await startTwo({}, env);
    await killed.running.kill();
    await vi.waitFor(() => expect(killed.pids.filter(isAlive)).toEqual([]), PATIENCE);
    const { running, pids } = await startTwo({}, env);
    await connectToEach(running, pids);
    expect(await running.metric('approov_worker_restarts_total')).toBe(0);
  });

  test('all reload changed files on SIGHUP to the primary', async () => {
    const { running, pids } = await startTwo();
    const each = await connectToEach(running, pids);
    scratch.write('secret', OTHER_SECRET);
    running.signal('SIGHUP');
    const token = freshToken({}, { secret: OTHER_SECRET_BYTES });
    for (const client of each.values()) {
      await vi.waitFor(async () => expect(await reasonBy(client, token)).toBe('ok'), PATIENCE);
    }
    running.writeConfig({ keys, workers: 2, policies: { default: { mode: 'observe' } } });
    running.signal('SIGHUP');
    for (const client of each.values()) {
      await vi.waitFor(async () => {
        expect(metadataOf(await client.check(requestWith({})))['approov_mode']).toBe('observe');
      }, PATIENCE);
    }
    await vi.waitFor(async () => {
      const metrics = await readMetrics(running.admin);
      expect(metrics.get('approov_reloads_total{source="keys",outcome="success"}')).toBe(1);
      expect(metrics.get('approov_policy_mode{policy="default",mode="observe"}')).toBe(1);
      expect(await (await fetch(`http://${running.admin}/config`)).text()).toContain('mode: observe');
    }, PATIENCE);
    const warnings = running.logLines().filter(({ level }) => level === 'warn');
    expect(warnings.filter(({ msg }) => msg === 'policy does not enforce')).toHaveLength(1);
    // The warnings of the start are logged by the primary only.
    expect(warnings.map(({ pid }) => pid)).toEqual(warnings.map(() => running.pid));
  });
});

/** Counters; gauges may fall, and prom-client has a gauge of its own that ends in `_total`. */
const COUNTER = /^(approov|process_cpu|nodejs_gc)_.*(_total|_count|_bucket)\b/;

describe('a killed worker', () => {
  test('is restarted and counted, and no counter falls', async () => {
    const { running, pids } = await startTwo();
    const each = await connectToEach(running, pids);
    for (const client of each.values()) for (let checks = 0; checks < 5; checks++) await reasonBy(client);
    const before = await readMetrics(running.admin);
    process.kill(pids[0] ?? 0, 'SIGKILL');
    const seen: number[] = [];
    await vi.waitFor(async () => {
      const now = await readMetrics(running.admin);
      for (const [name, value] of before) {
        if (COUNTER.test(name)) expect([name, now.get(name)]).toEqual([name, atLeast(value)]);
      }
      seen.push(now.get(OK_CHECKS) ?? 0);
      expect(now.get('approov_worker_restarts_total')).toBe(1);
    }, PATIENCE);
    expect(Math.min(...seen)).toBe(before.get(OK_CHECKS));
    expect(await running.metric('approov_key_last_used_timestamp_seconds{key_id="current"}')).toBeGreaterThan(
      1e9,
    );
    const after = await readyWorkers(running);
    expect(after).toContain(pids[1]);
    expect(after).not.toContain(pids[0]);
    expect(running.logLines()).toContainEqual(
      expect.objectContaining({ level: 'error', worker: pids[0], signal: 'SIGKILL', msg: 'worker killed' }),
    );
  });

  function atLeast(least: number): { asymmetricMatch(value: unknown): boolean } {
    return { asymmetricMatch: (value) => typeof value === 'number' && value >= least };
  }

  test('loses its own calls only', async () => {
    const { running, pids } = await shareTwo();
    const calls = new Map<number, OpenCall>();
    while (!pids.every((pid) => calls.has(pid))) {
      const call = await openCheck(running);
      calls.set(call.pid, call);
    }
    const [lost, kept] = [calls.get(pids[0] ?? 0), calls.get(pids[1] ?? 0)];
    process.kill(pids[0] ?? 0, 'SIGKILL');
    expect(await lost?.answered).toBe('closed');
    kept?.take();
    expect(await kept?.answered).toBe('grpc-status 0');
    for (const { session } of calls.values()) session.destroy();
    // A connection that reaches the killed worker before the primary knows of its end is reset; clients retry.
    await vi.waitFor(async () => expect(await running.reasonOf(freshToken())).toBe('ok'), PATIENCE);
  });

  test('is restarted with exponential backoff', async () => {
    const { running, pids } = await startTwo();
    const [survivor, victim] = pids;
    let next = victim;
    for (let kills = 0; kills < 3; kills++) {
      process.kill(next ?? 0, 'SIGKILL');
      const killed = next;
      await vi.waitFor(async () => {
        next = (await readyWorkers(running)).find((pid) => pid !== survivor);
        expect(next).not.toBe(killed);
      }, PATIENCE);
    }
    const delays = running.logLines().filter(({ msg }) => msg === 'worker killed');
    expect(delays.map((line) => line['restart_in_ms'])).toEqual([200, 400, 800]);
    expect(await running.metric('approov_worker_restarts_total')).toBe(3);
  });

  test('is restarted once an invalid file is valid again, while the other worker serves', async () => {
    const { running, pids } = await startTwo();
    scratch.write('secret', 'x');
    process.kill(pids[0] ?? 0, 'SIGKILL');
    await vi.waitFor(async () => {
      const { status, components } = await readReadyz(running.admin);
      expect(status).toBe(200);
      expect(components.files?.['keys']).toEqual([expect.stringContaining('keys[0].secretFile: ')]);
      expect(Object.values(components.workers ?? {}).sort()).toEqual(['ready', INVALID_CONFIGURATION]);
    }, PATIENCE);
    expect(await running.reasonOf(freshToken())).toBe('ok');
    scratch.write('secret', SECRET);
    expect(await readyWorkers(running)).toContain(pids[1]);
    expect(running.logLines()).toContainEqual(
      expect.objectContaining({ level: 'error', exit_code: 2, msg: INVALID_CONFIGURATION }),
    );
  });

  test('when the last worker dies, the service is not ready until an invalid file is valid again', async () => {
    // Port 0 would bind another port on the restart.
    const { running, pids } = await startTwo({}, { APPROOV_GRPC_LISTEN: `unix:${scratch.path('all.sock')}` });
    scratch.write('secret', 'x');
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await vi.waitFor(async () => {
      const { status, components } = await readReadyz(running.admin);
      expect(status).toBe(503);
      expect(components.files?.['keys']).toEqual([expect.stringContaining('keys[0].secretFile: ')]);
      expect(Object.values(components.workers ?? {})).toEqual([INVALID_CONFIGURATION, INVALID_CONFIGURATION]);
    }, PATIENCE);
    scratch.write('secret', SECRET);
    await readyWorkers(running);
    const { client } = await connectTo(running);
    expect(await reasonBy(client)).toBe('ok');
  });

  test('does not end the service if it dies during a scrape', async () => {
    const { running, pids } = await shareTwo();
    const { client } = await connectTo(running);
    const restarts = await running.metric('approov_worker_restarts_total');
    process.kill(pids[0] ?? 0, 'SIGSTOP');
    // A stopped worker does not report, so its last report is used; then it dies during a scrape.
    expect(await running.metric('approov_worker_restarts_total')).toBe(restarts);
    const scrapes = Array.from({ length: 5 }, () => readMetrics(running.admin));
    process.kill(pids[0] ?? 0, 'SIGKILL');
    for (const metrics of await Promise.all(scrapes))
      expect(metrics.get(VERIFICATIONS)).toBeGreaterThanOrEqual(0);
    expect(await readyWorkers(running)).toHaveLength(2);
    client.close();
  });
});

interface OpenCall {
  readonly session: ClientHttp2Session;
  readonly pid: number;
  readonly answered: Promise<string>;
  take(): void;
}

/** A check that was decided, whose response the client does not read until `take`. */
async function openCheck(running: CheckedService): Promise<OpenCall> {
  const session = connectHttp2(`http://${running.grpc}`, { settings: { initialWindowSize: 0 } });
  session.on('error', () => {});
  const before = running.logLines().filter(({ reason }) => reason === 'internal_error').length;
  const call = session.request({
    ':method': 'POST',
    ':path': '/envoy.service.auth.v3.Authorization/Check',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  call.on('error', () => {});
  call.on('data', () => {});
  const answered = new Promise<string>((resolve) => {
    call.on('trailers', (trailers) => resolve(`grpc-status ${trailers['grpc-status']}`));
    call.on('close', () => resolve('closed'));
  });
  // Wire type 7 does not exist: the message does not decode, and its log line has the pid of the worker.
  call.end(Buffer.from([0, 0, 0, 0, 1, 0x0f]));
  await once(call, 'response');
  const line = await vi.waitFor(() => {
    const lines = running.logLines().filter(({ reason }) => reason === 'internal_error');
    expect(lines).toHaveLength(before + 1);
    return lines.at(-1);
  }, PATIENCE);
  return {
    session,
    pid: Number(line?.['pid']),
    answered,
    take: () => session.settings({ initialWindowSize: 65_535 }),
  };
}

describe('a service with workers', () => {
  test('drains every worker on SIGTERM: it sends GOAWAY, answers calls in flight and exits 0', async () => {
    const { running, pids } = await startTwo({ drain: { delaySeconds: 0, timeoutSeconds: 3600 } });
    const calls = new Map<number, OpenCall>();
    while (!pids.every((pid) => calls.has(pid))) {
      const call = await openCheck(running);
      calls.get(call.pid)?.session.destroy();
      calls.set(call.pid, call);
    }
    const goaways = [...calls.values()].map(({ session }) => once(session, 'goaway'));
    running.signal('SIGTERM');
    for (const [code] of await Promise.all(goaways)) expect(code).toBe(0);
    expect((await readReadyz(running.admin)).status).toBe(503);
    for (const call of calls.values()) {
      call.take();
      expect(await call.answered).toBe('grpc-status 0');
    }
    expect(await running.ended).toBe(0);
    const draining = running.logLines().filter(({ msg }) => msg === 'draining');
    expect(draining.map(({ pid }) => pid).sort()).toEqual([...pids].sort());
    expect(running.logLines().filter(({ msg }) => String(msg).startsWith('worker '))).toEqual([]);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test('leaves no worker running when the primary is killed', async () => {
    const { running, pids } = await startTwo();
    await running.kill();
    await vi.waitFor(() => expect(pids.filter(isAlive)).toEqual([]), PATIENCE);
  });

  test('restarts a worker that gets SIGTERM itself', async () => {
    const { running, pids } = await shareTwo();
    process.kill(pids[0] ?? 0, 'SIGTERM');
    await vi.waitFor(async () => expect(await readyWorkers(running)).not.toContain(pids[0]), PATIENCE);
  });
});

describe('a service with workers that cannot start', () => {
  const serve = (config: object) =>
    runCli(['serve', '--config', scratch.write('config.yaml', stringify({ keys, workers: 2, ...config }))]);

  test('exits 1 with one line if an address is in use', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const address = `127.0.0.1:${(taken.address() as { port: number }).port}`;
    const grpc = await serve({ listen: { grpc: address, admin: '127.0.0.1:0' } });
    const admin = await serve({
      listen: { grpc: '127.0.0.1:0', admin: address },
      drain: { delaySeconds: 0 },
    });
    for (const { code, stderr } of [grpc, admin]) {
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /^approov-ext-authz: cannot listen on \S+: another process or listener uses it \(EADDRINUSE\); [^\n]*\n$/,
      );
      expect(stderr).toContain(address);
    }
    taken.close();
  });

  test('exits 2 with one line if a secret is invalid', async () => {
    scratch.write('secret', 'x');
    const { code, stdout, stderr } = await serve({});
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^approov-ext-authz: \S+:\d+:\d+: keys\[0\]\.secretFile: [^\n]+\n$/);
  });
});

test('workers: auto starts one worker per available CPU', async () => {
  const running = await start({ workers: 'auto' });
  const count = availableParallelism();
  if (count === 1) expect((await readReadyz(running.admin)).components.workers).toBeUndefined();
  else expect(await readyWorkers(running, count)).toHaveLength(count);
});
