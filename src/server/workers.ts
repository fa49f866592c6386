/** Owns the workers as one: how many there are, that one that dies is started anew, and the sum of what they say. */
import { AggregatorRegistry } from 'prom-client';
import type { Readiness } from '../admin/admin-server.ts';
import type { ListenAddress } from '../config/address.ts';
import type { Log } from '../telemetry/log.ts';
import { KEY_LAST_USED } from '../telemetry/metrics.ts';
import { createPrimaryMetrics } from '../telemetry/primary-metrics.ts';
import { type End, type MetricJson, startWorkerProcess, type WorkerProcess } from './worker-process.ts';

/** A worker that died at once is started anew later and later, so that a fault that stays costs no CPU. */
const MIN_RESTART_MS = 100;
const MAX_RESTART_MS = 10_000;
/** One that has lived so long starts over with the shortest delay. */
const STABLE_MS = 60_000;
/** A worker that does not tell its metrics in time is taken by its last ones. */
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

/** A place that one worker after the other fills. */
interface Place {
  worker: WorkerProcess;
  startedMs: number;
  /** How its worker ended, until the next one is started. */
  end: End | undefined;
  /** In a row; one that had lived long is none. */
  earlyDeaths: number;
}

export function createWorkers(log: Log, nowMs: () => number): Workers {
  const { registry, restarts } = createPrimaryMetrics();
  const places: Place[] = [];
  /** Counts of workers that are gone: without them a sum would fall, which Prometheus takes for a restart at 0. */
  let departed: Promise<MetricJson[]> = Promise.resolve([]);
  let isStopping = false;

  function addPlace(): Place {
    const place = { worker: startWorkerProcess(), startedMs: nowMs(), end: undefined, earlyDeaths: 0 };
    places.push(place);
    return place;
  }

  function refillWhenEmpty(place: Place): void {
    void place.worker.ended.then((end) => {
      place.end = end;
      departed = addUp(departed, place.worker.metrics().filter(outlivesWorker));
      if (!isStopping) refillLater(place, end);
    });
  }

  function refillLater(place: Place, end: End): void {
    place.earlyDeaths = nowMs() - place.startedMs > STABLE_MS ? 0 : place.earlyDeaths + 1;
    const delayMs = Math.min(MAX_RESTART_MS, MIN_RESTART_MS * 2 ** place.earlyDeaths);
    log.error({ worker: place.worker.pid, ...end, restart_in_ms: delayMs }, describeEnd(end));
    setTimeout(() => {
      if (!isStopping) refill(place);
    }, delayMs);
  }

  function refill(place: Place): void {
    restarts.inc();
    place.startedMs = nowMs();
    try {
      place.worker = startWorkerProcess();
    } catch (error) {
      refillLater(place, { code: null, signal: (error as NodeJS.ErrnoException).code ?? null });
      return;
    }
    place.end = undefined;
    refillWhenEmpty(place);
  }

  function running(): WorkerProcess[] {
    return places.filter(({ end }) => end === undefined).map(({ worker }) => worker);
  }

  return {
    async start(count) {
      const first = addPlace();
      const grpc = await listeningOrThrow(first.worker);
      for (let started = 1; started < count; started++) addPlace();
      places.forEach(refillWhenEmpty);
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
            places.map((place) => [place.worker.pid ?? 'not spawned', describe(place)]),
          ),
        },
      };
    },

    async metricsText() {
      await Promise.all(running().map((worker) => worker.refreshMetrics(METRICS_TIMEOUT_MS)));
      const own = running().map((worker) => [...worker.metrics()]);
      const sum = AggregatorRegistry.aggregate([await departed, ...own]);
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

function listeningOrThrow(worker: WorkerProcess): Promise<ListenAddress> {
  const failed = worker.ended.then((end) => {
    throw new WorkerError(end);
  });
  return Promise.race([worker.listening, failed]);
}

function describe({ worker, end }: Place): string {
  if (end !== undefined) return describeEnd(end);
  const readiness = worker.readiness();
  if (readiness === undefined) return 'starting';
  return readiness.isReady ? 'ready' : 'not ready';
}

function describeEnd({ code }: End): string {
  return code === BAD_CONFIGURATION ? 'worker cannot start: a file is bad' : 'worker died';
}

async function addUp(departed: Promise<MetricJson[]>, own: MetricJson[]): Promise<MetricJson[]> {
  return AggregatorRegistry.aggregate([await departed, own]).getMetricsAsJSON() as Promise<MetricJson[]>;
}

/** Counts, and when a key was last used: 0 there would say never. */
function outlivesWorker({ type, name }: MetricJson): boolean {
  return ['counter', 'histogram'].includes(String(type)) || name === KEY_LAST_USED;
}
