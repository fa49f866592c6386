/** Keeps one worker running: restarts it when it exits, with exponential backoff. */
import type { Log } from '../telemetry/log.ts';
import type { WorkerChannel } from './worker-channel.ts';
import { describeExit, exitFields, type WorkerExit } from './worker-exit.ts';

const MIN_RESTART_MS = 100;
const MAX_RESTART_MS = 10_000;
/** A worker that ran this long resets the backoff. */
const STABLE_MS = 60_000;

export interface WorkerSlot {
  /** The current worker, or the last one while it waits for a restart. */
  worker(): WorkerChannel;
  isRunning(): boolean;
  /** In words, for `/readyz`. */
  state(): string;
  /** Restarts the worker from now on when it exits. */
  supervise(): void;
  /** Drains the worker and restarts none; kills it if it takes longer than `killAfterMs`. */
  stop(killAfterMs: number): Promise<void>;
}

interface WorkerSlotOptions {
  readonly log: Log;
  /** A monotonic clock. */
  readonly nowMs: () => number;
  readonly fork: () => WorkerChannel;
  readonly onExit: (worker: WorkerChannel) => void;
  readonly onRestart: () => void;
}

export function createWorkerSlot(options: WorkerSlotOptions): WorkerSlot {
  const { log, nowMs, fork, onExit, onRestart } = options;
  let worker = fork();
  let startedMs = nowMs();
  let lastExit: WorkerExit | undefined;
  let earlyExits = 0;
  let isStopping = false;

  async function supervise(): Promise<void> {
    const exit = await worker.exited;
    lastExit = exit;
    onExit(worker);
    if (!isStopping) restartLater(exit);
  }

  function restartLater(exit: WorkerExit): void {
    earlyExits = nowMs() - startedMs > STABLE_MS ? 0 : earlyExits + 1;
    const delayMs = Math.min(MAX_RESTART_MS, MIN_RESTART_MS * 2 ** earlyExits);
    log.error({ worker: worker.pid, ...exitFields(exit), restart_in_ms: delayMs }, describeExit(exit));
    setTimeout(() => {
      if (!isStopping) restart();
    }, delayMs);
  }

  function restart(): void {
    onRestart();
    startedMs = nowMs();
    worker = fork();
    lastExit = undefined;
    void supervise();
  }

  return {
    worker: () => worker,
    isRunning: () => lastExit === undefined,
    state: () => (lastExit === undefined ? describeRunning(worker) : describeExit(lastExit)),
    supervise: () => void supervise(),
    async stop(killAfterMs) {
      isStopping = true;
      if (lastExit !== undefined) return;
      worker.stop();
      const timer = setTimeout(() => worker.kill(), killAfterMs);
      await worker.exited;
      clearTimeout(timer);
    },
  };
}

function describeRunning(worker: WorkerChannel): string {
  const readiness = worker.readiness();
  if (readiness === undefined) return 'starting';
  return readiness.isReady ? 'ready' : 'not ready';
}
