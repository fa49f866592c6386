/** Runs several workers as one service: starts, reloads and stops them, and combines their readiness and metrics. */
import type { Readiness } from '../admin/admin-server.ts';
import type { ListenAddress } from '../config/address.ts';
import type { Log } from '../telemetry/log.ts';
import { createMetricsAggregator } from './metrics-aggregator.ts';
import type { ModeOverride } from './mode-overrides.ts';
import { forkWorker, type PassedOverride, type WorkerChannel } from './worker-channel.ts';
import { WorkerStartError } from './worker-exit.ts';
import { createWorkerSlot, type WorkerSlot } from './worker-slot.ts';

/** For a worker to exit once it has drained. */
const EXIT_GRACE_MS = 5000;

interface WorkerPool {
  /**
   * Starts `count` workers; resolves with the bound address once the first one listens.
   * @throws {WorkerStartError} the first worker ended before it listened.
   */
  start(count: number): Promise<ListenAddress>;
  readiness(): Readiness;
  metricsText(): Promise<string>;
  reload(): void;
  /** Passes the overrides, which have changed, to every worker. */
  useOverrides(): void;
  /** @param drainMs how long a worker's drain may take. */
  stop(drainMs: number): Promise<void>;
}

interface WorkerPoolOptions {
  readonly log: Log;
  /** A monotonic clock. */
  readonly nowMs: () => number;
  readonly overrides: () => readonly ModeOverride[];
}

export function createWorkerPool({ log, nowMs, overrides }: WorkerPoolOptions): WorkerPool {
  const metrics = createMetricsAggregator();
  const slots: WorkerSlot[] = [];
  let isStopping = false;

  function addSlot(): WorkerSlot {
    const slot = createWorkerSlot({
      log,
      nowMs,
      fork: () => forkWorker(passedOverrides),
      onExit: metrics.retire,
      onRestart: metrics.restarted,
    });
    slots.push(slot);
    return slot;
  }

  function passedOverrides(): readonly PassedOverride[] {
    return overrides().map(({ endsAtMs, ...override }) => ({ ...override, msLeft: endsAtMs - nowMs() }));
  }

  function running(): WorkerChannel[] {
    return slots.filter((slot) => slot.isRunning()).map((slot) => slot.worker());
  }

  return {
    async start(count) {
      const grpc = await listeningOrThrow(addSlot().worker());
      while (slots.length < count) addSlot();
      for (const slot of slots) slot.supervise();
      return grpc;
    },

    readiness() {
      const reports = running().flatMap((worker) => worker.readiness() ?? []);
      const ready = reports.find(({ isReady }) => isReady);
      const workers = slots.map((slot) => [slot.worker().pid ?? 'not spawned', slot.state()]);
      return {
        isReady: !isStopping && ready !== undefined,
        components: { ...(ready ?? reports[0])?.components, workers: Object.fromEntries(workers) },
      };
    },

    metricsText: () => metrics.text(running()),

    reload() {
      for (const worker of running()) worker.reload();
    },

    useOverrides() {
      for (const worker of running()) worker.passOverrides();
    },

    async stop(drainMs) {
      isStopping = true;
      await Promise.all(slots.map((slot) => slot.stop(drainMs + EXIT_GRACE_MS)));
    },
  };
}

async function listeningOrThrow(worker: WorkerChannel): Promise<ListenAddress> {
  const exited = worker.exited.then((exit) => {
    throw new WorkerStartError(exit);
  });
  return Promise.race([worker.listening, exited]);
}
