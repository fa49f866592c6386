/** Runs several workers as one service: starts, reloads and stops them, and combines their readiness and counts. */
import { randomBytes } from 'node:crypto';
import type { Readiness } from '../admin/admin-server.ts';
import type { ListenAddress } from '../config/address.ts';
import type { RolloutSnapshot } from '../rollout/snapshot.ts';
import type { Log } from '../telemetry/log.ts';
import type { ModeOverride } from './mode-overrides.ts';
import { forkWorker, type SharedState, type WorkerChannel } from './worker-channel.ts';
import { WorkerStartError } from './worker-exit.ts';
import { createWorkerSlot, type WorkerSlot } from './worker-slot.ts';
import { createWorkerTotals } from './worker-totals.ts';

/** For a worker to exit once it has drained. */
const EXIT_GRACE_MS = 5000;
/** How often workers report their counts: a worker that dies loses what it counted since. */
const REPORT_INTERVAL_MS = 10_000;

interface WorkerPool {
  /**
   * Starts `count` workers; resolves with the bound address once the first one listens.
   * @throws {WorkerStartError} the first worker ended before it listened.
   */
  start(count: number): Promise<ListenAddress>;
  readiness(): Readiness;
  metricsText(): Promise<string>;
  /** As of the last {@link metricsText}, or of the last seconds. */
  rollout(): RolloutSnapshot;
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
  /** Since the epoch. */
  readonly nowSeconds: () => number;
  /** Of the policies whose checks are judged. */
  readonly policyNames: () => readonly string[];
  readonly overrides: () => readonly ModeOverride[];
}

export function createWorkerPool(options: WorkerPoolOptions): WorkerPool {
  const { log, nowMs, nowSeconds, policyNames, overrides } = options;
  const totals = createWorkerTotals({ policyNames, nowSeconds });
  const deviceKey = randomBytes(8).toString('hex');
  const slots: WorkerSlot[] = [];
  const timer = setInterval(() => void totals.refresh(running()), REPORT_INTERVAL_MS);
  let isStopping = false;

  function addSlot(): WorkerSlot {
    const slot = createWorkerSlot({
      log,
      nowMs,
      fork: () => forkWorker(sharedState),
      onExit: totals.retire,
      onRestart: totals.restarted,
    });
    slots.push(slot);
    return slot;
  }

  function sharedState(): SharedState {
    return {
      deviceKey,
      overrides: overrides().map(({ endsAtMs, ...rest }) => ({ ...rest, msLeft: endsAtMs - nowMs() })),
    };
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

    async metricsText() {
      await totals.refresh(running());
      return totals.metricsText(running());
    },

    rollout: () => totals.rollout(running()),

    reload() {
      for (const worker of running()) worker.reload();
    },

    useOverrides() {
      for (const worker of running()) worker.passShared();
    },

    async stop(drainMs) {
      isStopping = true;
      clearInterval(timer);
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
