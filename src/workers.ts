/** Owns the workers: processes that share the listener, started anew when they die, their metrics added up. */
import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue } from 'prom-client';
import type { Readiness } from './admin-server.ts';
import type { ListenAddress } from './config/address.ts';
import type { Log } from './log.ts';
import { createPrimaryMetrics } from './metrics.ts';

type MetricJson = MetricObjectWithValues<MetricValue<string>>;

/** A worker that died at once is started anew later and later, so that a fault that stays costs no CPU. */
const MIN_RESTART_MS = 100;
const MAX_RESTART_MS = 10_000;
/** One that has lived so long starts over with the shortest delay. */
const STABLE_MS = 60_000;
/** A worker that does not tell its metrics in time is taken by its last ones. */
const METRICS_TIMEOUT_MS = 1000;
/** Beyond the drain, for a worker to end by itself. */
const STOP_GRACE_MS = 5000;
const KEY_LAST_USED = 'approov_key_last_used_timestamp_seconds';

/** What a worker tells the primary. */
type Report =
  | { readonly type: 'readiness'; readonly readiness: Readiness; readonly grpc: ListenAddress | undefined }
  | { readonly type: 'metrics'; readonly metrics: MetricJson[] };

/** What the primary asks of a worker. */
type Request = 'metrics' | 'reload' | 'stop';

export interface Workers {
  readonly grpc: ListenAddress;
  readiness(): Readiness;
  metricsText(): Promise<string>;
  reload(): Promise<void>;
  /** @param drainMs how long a worker's drain may take. */
  stop(drainMs: number): Promise<void>;
}

interface Member {
  readonly worker: Worker;
  readonly startedMs: number;
  readiness: Readiness | undefined;
  metrics: MetricJson[];
}

/** Whether this process is a worker that {@link startWorkers} has started. */
export function isWorker(): boolean {
  return cluster.isWorker;
}

/**
 * Starts workers and resolves once the first of them listens.
 * @throws an error if that one ends first; it has said why itself.
 */
export async function startWorkers(count: number, log: Log, nowMs: () => number): Promise<Workers> {
  const { registry, restarts } = createPrimaryMetrics();
  const members = new Map<number, Member>();
  /** Counts of workers that are gone: without them a sum would fall, which Prometheus takes for a restart at 0. */
  let departed: Promise<MetricJson[]> = Promise.resolve([]);
  let isStopping = false;
  let failures = 0;

  function start(): Member {
    const member: Member = { worker: cluster.fork(), startedMs: nowMs(), readiness: undefined, metrics: [] };
    members.set(member.worker.id, member);
    member.worker.on('message', (report: Report) => {
      if (report.type === 'readiness') member.readiness = report.readiness;
      if (report.type === 'metrics') member.metrics = report.metrics;
    });
    member.worker.once('exit', (code, signal) => onExit(member, code, signal));
    member.worker.on('error', (error: NodeJS.ErrnoException) => {
      // One that could not even be spawned has no exit.
      if (member.worker.process.pid === undefined) onExit(member, null, error.code ?? error.name);
    });
    return member;
  }

  function onExit(member: Member, code: number | null, signal: string | null): void {
    members.delete(member.worker.id);
    departed = addUp(departed, member.metrics.filter(outlivesWorker));
    if (isStopping) return;
    failures = nowMs() - member.startedMs > STABLE_MS ? 0 : failures + 1;
    const delayMs = Math.min(MAX_RESTART_MS, MIN_RESTART_MS * 2 ** failures);
    log.error({ worker: member.worker.process.pid, code, signal, restart_in_ms: delayMs }, 'worker died');
    setTimeout(() => {
      if (isStopping) return;
      restarts.inc();
      start();
    }, delayMs);
  }

  function ask(request: Request): void {
    for (const { worker } of members.values()) if (worker.isConnected()) worker.send(request, ignoreUnsent);
  }

  const grpc = await firstListening(start().worker);
  for (let started = 1; started < count; started++) start();

  return {
    grpc,
    readiness() {
      const workers = [...members.values()];
      const ready = workers.find(({ readiness }) => readiness?.isReady);
      const shown = ready ?? workers.find(({ readiness }) => readiness !== undefined);
      return {
        isReady: !isStopping && ready !== undefined,
        components: {
          ...shown?.readiness?.components,
          workers: Object.fromEntries(
            workers.map(({ worker, readiness }) => [
              String(worker.process.pid),
              readiness?.isReady ? 'ready' : 'not ready',
            ]),
          ),
        },
      };
    },

    async metricsText() {
      await collectMetrics([...members.values()], ask);
      const before = departed;
      const own = Array.from(members.values(), ({ metrics }) => metrics);
      const sum = AggregatorRegistry.aggregate([await before, ...own]);
      return (await sum.metrics()) + (await registry.metrics());
    },

    async reload() {
      ask('reload');
    },

    async stop(drainMs) {
      isStopping = true;
      const running = [...members.values()].map(({ worker }) => worker);
      const ended = running.map((worker) => (worker.isDead() ? undefined : once(worker, 'exit')));
      ask('stop');
      const timer = setTimeout(() => {
        for (const worker of running) worker.process.kill('SIGKILL');
      }, drainMs + STOP_GRACE_MS);
      await Promise.all(ended);
      clearTimeout(timer);
    },
  };
}

/** What a worker does for its primary. */
export interface WorkerDuties {
  readonly metrics: () => Promise<MetricJson[]>;
  readonly reload: () => void;
  readonly stop: () => void;
}

/** Answers the primary; what is returned tells it of the worker's readiness. */
export function serveAsWorker({ metrics, reload, stop }: WorkerDuties) {
  const tell = (report: Report): void => {
    if (process.connected) process.send?.(report);
  };
  process.on('message', (request: Request) => {
    if (request === 'reload') reload();
    if (request === 'stop') stop();
    if (request === 'metrics') void metrics().then((own) => tell({ type: 'metrics', metrics: own }));
  });
  return (readiness: Readiness, grpc: ListenAddress | undefined): void => {
    tell({ type: 'readiness', readiness, grpc });
  };
}

function firstListening(worker: Worker): Promise<ListenAddress> {
  return new Promise((resolve, reject) => {
    worker.on('message', (report: Report) => {
      if (report.type === 'readiness' && report.grpc !== undefined) resolve(report.grpc);
    });
    worker.once('exit', () => reject(new WorkerError('no worker could be started')));
  });
}

/** No worker could be started; the worker itself has said why. */
export class WorkerError extends Error {
  override readonly name = 'WorkerError';
}

async function collectMetrics(members: readonly Member[], ask: (request: Request) => void): Promise<void> {
  const done = new AbortController();
  const told = members.map(({ worker }) => nextMetrics(worker, done.signal));
  ask('metrics');
  await Promise.race([Promise.all(told), sleep(METRICS_TIMEOUT_MS)]);
  done.abort();
}

function nextMetrics(worker: Worker, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const onMessage = (report: Report): void => {
      if (report.type === 'metrics') resolve();
    };
    worker.on('message', onMessage);
    worker.once('exit', resolve);
    signal.addEventListener('abort', () => {
      worker.off('message', onMessage);
      worker.off('exit', resolve);
    });
  });
}

/** A worker may have died just now: without somebody to take it, that error would end the primary. */
function ignoreUnsent(): void {}

async function addUp(departed: Promise<MetricJson[]>, own: MetricJson[]): Promise<MetricJson[]> {
  return AggregatorRegistry.aggregate([await departed, own]).getMetricsAsJSON() as Promise<MetricJson[]>;
}

/** Counts, and when a key was last used: 0 there would say never. */
function outlivesWorker({ type, name }: MetricJson): boolean {
  return ['counter', 'histogram'].includes(String(type)) || name === KEY_LAST_USED;
}
