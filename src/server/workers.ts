/** Owns the workers as one: how many there are, that one that dies is started anew, and the sum of what they say. */
import { AggregatorRegistry } from 'prom-client';
import type { Readiness } from '../admin/readiness.ts';
import type { ListenAddress } from '../config/address.ts';
import { KEY_LAST_USED } from '../telemetry/key-metrics.ts';
import type { Log } from '../telemetry/log.ts';
import { createPrimaryMetrics } from '../telemetry/process-metrics.ts';
import { type End, forkWorker, type MetricJson, type WorkerChannel } from './worker-channel.ts';

/** A worker that died at once is started anew later and later, so that a fault that stays costs no CPU. */
const MIN_RESTART_MS = 100;
const MAX_RESTART_MS = 10_000;
/** One that has lived so long starts over with the shortest delay. */
const STABLE_MS = 60_000;
/** A worker that does not report its metrics in time is taken by its last ones. */
const METRICS_TIMEOUT_MS = 1000;
/** Beyond the drain, for a worker to end by itself. */
const STOP_GRACE_MS = 5000;
/** With which a process ends that cannot use its configuration. */
const BAD_CONFIGURATION = 2;

export interface Workers {
  /**
   * Starts so many, and resolves once the first of them listens.
   * @throws {WorkerError} that one ends first.
   */
  start(count: number): Promise<ListenAddress>;
  readiness(): Readiness;
  metricsText(): Promise<string>;
  reload(): void;
  /** @param drainMs how long a worker's drain may take. */
  stop(drainMs: number): Promise<void>;
}

/** The first worker ended before it served. */
export class WorkerError extends Error {
  override readonly name = 'WorkerError';
  /** Whether it ended by itself, and so has said why. */
  readonly hasSaidWhy: boolean;

  constructor({ code, signal }: End) {
    super(`the first worker ended before it served: ${signal ?? `exit code ${code}`}`);
    this.hasSaidWhy = code !== null;
  }
}

/** A slot that one worker after the other fills. */
interface WorkerSlot {
  worker: WorkerChannel;
  startedMs: number;
  /** How its worker ended, until the next one is started. */
  end: End | undefined;
  /** In a row; one that had lived long is none. */
  earlyDeaths: number;
}

export function createWorkers(log: Log, nowMs: () => number): Workers {
  const { registry, restarts } = createPrimaryMetrics();
  const slots: WorkerSlot[] = [];
  /** Counts of workers that are gone: without them a sum would fall, which Prometheus takes for a restart at 0. */
  let retiredMetrics: Promise<MetricJson[]> = Promise.resolve([]);
  let isStopping = false;

  function addSlot(): WorkerSlot {
    const slot = { worker: forkWorker(), startedMs: nowMs(), end: undefined, earlyDeaths: 0 };
    slots.push(slot);
    return slot;
  }

  function refillWhenEmpty(slot: WorkerSlot): void {
    void slot.worker.ended.then((end) => {
      slot.end = end;
      retiredMetrics = addUp(retiredMetrics, slot.worker.metrics().filter(isKeptAfterExit));
      if (!isStopping) refillLater(slot, end);
    });
  }

  function refillLater(slot: WorkerSlot, end: End): void {
    slot.earlyDeaths = nowMs() - slot.startedMs > STABLE_MS ? 0 : slot.earlyDeaths + 1;
    const delayMs = Math.min(MAX_RESTART_MS, MIN_RESTART_MS * 2 ** slot.earlyDeaths);
    log.error({ worker: slot.worker.pid, ...end, restart_in_ms: delayMs }, describeEnd(end));
    setTimeout(() => {
      if (!isStopping) refill(slot);
    }, delayMs);
  }

  function refill(slot: WorkerSlot): void {
    restarts.inc();
    slot.startedMs = nowMs();
    try {
      slot.worker = forkWorker();
    } catch (error) {
      refillLater(slot, { code: null, signal: (error as NodeJS.ErrnoException).code ?? null });
      return;
    }
    slot.end = undefined;
    refillWhenEmpty(slot);
  }

  function running(): WorkerChannel[] {
    return slots.filter(({ end }) => end === undefined).map(({ worker }) => worker);
  }

  return {
    async start(count) {
      const first = addSlot();
      const grpc = await listeningOrThrow(first.worker);
      for (let started = 1; started < count; started++) addSlot();
      slots.forEach(refillWhenEmpty);
      return grpc;
    },

    readiness() {
      const told = running().map((worker) => worker.readiness());
      const ready = told.find((readiness) => readiness?.isReady);
      const shown = ready ?? told.find((readiness) => readiness !== undefined);
      return {
        isReady: !isStopping && ready !== undefined,
        components: {
          ...shown?.components,
          workers: Object.fromEntries(
            slots.map((slot) => [slot.worker.pid ?? 'not spawned', describe(slot)]),
          ),
        },
      };
    },

    async metricsText() {
      await Promise.all(running().map((worker) => worker.refreshMetrics(METRICS_TIMEOUT_MS)));
      const own = running().map((worker) => [...worker.metrics()]);
      const sum = AggregatorRegistry.aggregate([await retiredMetrics, ...own]);
      return (await sum.metrics()) + (await registry.metrics());
    },

    reload() {
      for (const worker of running()) worker.reload();
    },

    async stop(drainMs) {
      isStopping = true;
      const stopped = running();
      for (const worker of stopped) worker.stop();
      const timer = setTimeout(() => {
        for (const worker of stopped) worker.kill();
      }, drainMs + STOP_GRACE_MS);
      await Promise.all(stopped.map(({ ended }) => ended));
      clearTimeout(timer);
    },
  };
}

function listeningOrThrow(worker: WorkerChannel): Promise<ListenAddress> {
  const failed = worker.ended.then((end) => {
    throw new WorkerError(end);
  });
  return Promise.race([worker.listening, failed]);
}

function describe({ worker, end }: WorkerSlot): string {
  if (end !== undefined) return describeEnd(end);
  const readiness = worker.readiness();
  if (readiness === undefined) return 'starting';
  return readiness.isReady ? 'ready' : 'not ready';
}

function describeEnd({ code }: End): string {
  return code === BAD_CONFIGURATION ? 'worker cannot start: a file is bad' : 'worker died';
}

async function addUp(retiredMetrics: Promise<MetricJson[]>, own: MetricJson[]): Promise<MetricJson[]> {
  return AggregatorRegistry.aggregate([await retiredMetrics, own]).getMetricsAsJSON() as Promise<
    MetricJson[]
  >;
}

/** Counts, and when a key was last used: 0 there would say never. */
function isKeptAfterExit({ type, name }: MetricJson): boolean {
  return ['counter', 'histogram'].includes(String(type)) || name === KEY_LAST_USED;
}
