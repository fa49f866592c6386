/** Assembles the guard against replays, with its log lines and its metric. */
import { performance } from 'node:perf_hooks';
import { createReplayGuard, type StoreGuard } from '../replay/replay-guard.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { createReplayLog } from '../telemetry/replay-log.ts';

interface GuardOptions {
  readonly log: Pick<Log, 'info' | 'warn'>;
  readonly metrics: Pick<Metrics, 'replayStoreFailed'>;
  /** Seconds since the epoch, fractions allowed. */
  readonly nowSeconds: () => number;
}

export function openReplayGuard({ log, metrics, nowSeconds }: GuardOptions): StoreGuard {
  const replayLog = createReplayLog(log, () => performance.now());
  const guard = createReplayGuard({
    nowSeconds,
    onFailure(failure, problem) {
      metrics.replayStoreFailed();
      replayLog.storeFailed(failure, problem);
    },
    onState: replayLog.storeState,
  });
  return {
    ...guard,
    close() {
      guard.close();
      replayLog.close();
    },
  };
}
