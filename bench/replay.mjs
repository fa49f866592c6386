/**
 * Measures what replay protection adds to a check: memory and CPU per signature in one process, and latency and CPU with a
 * redis-server on loopback. Needs a build, redis-server, Linux's /proc, and Node's --expose-gc for the memory.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { performance } from 'node:perf_hooks';
import { cpuNanoseconds } from './cpu.mjs';

const DIST = new URL('../dist/replay/', import.meta.url).href;
const { createLocalMarks, MAX_MARKS } = await import(`${DIST}local-marks.js`);
const { createReplayGuard } = await import(`${DIST}replay-guard.js`);

const MARKS = 50_000;
const nowSeconds = () => Date.now() / 1000;

/** Far enough ahead that the memory of a new store covers it. */
const created = nowSeconds() + 60;
let requests = 10n ** 18n;

function newMark() {
  return {
    key: randomBytes(32).toString('base64url'),
    requestId: String(requests++),
    createdSeconds: created,
    clockToleranceSeconds: 0,
    keepUntilSeconds: created + 300 + Number(requests % 300n),
  };
}

/** @param {string} name @param {string} value */
function print(name, value) {
  process.stdout.write(`${name.padEnd(40)} ${value}\n`);
}

/** @param {number[]} latencies in ms @param {number} share */
function percentile(latencies, share) {
  const sorted = latencies.toSorted((one, other) => one - other);
  return `${(sorted[Math.floor(sorted.length * share)] ?? Number.NaN).toFixed(2)} ms`;
}

function measureLocal() {
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const local = createLocalMarks();
  const marks = Array.from({ length: MAX_MARKS }, newMark);
  const start = process.cpuUsage();
  for (const mark of marks) local.add(mark, created);
  const { user, system } = process.cpuUsage(start);
  marks.length = 0;
  globalThis.gc?.();
  const bytes = process.memoryUsage().heapUsed - before;
  print('this process: CPU per signature', `${((user + system) / MAX_MARKS).toFixed(1)} µs`);
  if (globalThis.gc) print(`this process: memory of ${MAX_MARKS}`, `${(bytes / 1e6).toFixed(1)} MB`);
  // Keeps them alive until here.
  return local.add(newMark(), created);
}

/** @returns {Promise<number>} */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  return port;
}

/** @param {import('../src/replay/replay-guard.ts').StoreGuard} guard @param {number} concurrent @param {number} redisPid */
async function measureShared(guard, concurrent, redisPid) {
  /** @type {number[]} */
  const latencies = [];
  const redisBefore = cpuNanoseconds(redisPid);
  const before = process.cpuUsage();
  await Promise.all(
    Array.from({ length: concurrent }, async () => {
      for (let sent = 0; sent < MARKS / concurrent; sent++) {
        const mark = newMark();
        const start = performance.now();
        const { kind } = await guard.check(mark, 'shared');
        latencies.push(performance.now() - start);
        if (kind !== 'fresh') throw new Error(kind);
      }
    }),
  );
  const { user, system } = process.cpuUsage(before);
  const redisCpu = (cpuNanoseconds(redisPid) - redisBefore) / MARKS / 1000;
  print(
    `store, ${concurrent} concurrent: latency`,
    `p50 ${percentile(latencies, 0.5)}, p99 ${percentile(latencies, 0.99)}`,
  );
  print(
    `store, ${concurrent} concurrent: CPU per signature`,
    `${((user + system) / MARKS).toFixed(0)} µs here, ${redisCpu.toFixed(0)} µs in redis-server`,
  );
}

measureLocal();
const port = await freePort();
const memoryOnly = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
const redis = spawn('redis-server', memoryOnly, { stdio: 'ignore' });
await once(redis, 'spawn');
const guard = createReplayGuard({ nowSeconds, onFailure: () => undefined, onState: () => undefined });
const settings = {
  url: `redis://127.0.0.1:${port}`,
  timeoutMs: 5000,
  onError: /** @type {const} */ ('deny'),
};
await guard.useStore(settings);
while (guard.storeState() !== 'connected') await new Promise((resolve) => setTimeout(resolve, 10));
try {
  for (const concurrent of [20, 1, 20]) await measureShared(guard, concurrent, Number(redis.pid));
} finally {
  guard.close();
  redis.kill('SIGKILL');
}
