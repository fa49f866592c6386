/** Runs as a worker: answers checks, and reports to the primary and obeys it. */
import { createRolloutRecorder } from '../rollout/recorder.ts';
import type { ConfigStore } from '../sources/config-store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { type CheckServer, nowSeconds, startCheckServer } from './check-server.ts';
import { createModeOverrides } from './mode-overrides.ts';
import { serveAsWorker } from './worker-channel.ts';

interface WorkerOptions {
  readonly configStore: ConfigStore;
  readonly log: Log;
  readonly metrics: Metrics;
  /** A monotonic clock. */
  readonly nowMs: () => number;
  /** Called when the primary wants the worker to stop. */
  readonly onStopRequest: () => void;
}

export async function startWorker(options: WorkerOptions) {
  const { configStore, log, metrics, nowMs, onStopRequest } = options;
  let checkServer: CheckServer | undefined;
  const rollout = createRolloutRecorder(nowSeconds());
  // It ends overrides itself too, in case the primary hangs.
  const overrides = createModeOverrides({ nowMs, onChange: () => checkServer?.useOverrides() });
  let onFirstShared: () => void;
  const firstShared = new Promise<void>((resolve) => {
    onFirstShared = resolve;
  });
  const report = serveAsWorker({
    counts: async () => ({
      metrics: await metrics.registry.getMetricsAsJSON(),
      rollout: rollout.snapshot(),
    }),
    // A worker that is starting may have read the old files, so it reloads once it has started. Its failure to start is
    // thrown below.
    reload: () => void starting.then(({ reload }) => reload()).catch(() => undefined),
    useShared({ deviceKey, overrides: passed }) {
      rollout.useDeviceKey(Buffer.from(deviceKey, 'hex'));
      overrides.replaceAll(passed.map(({ msLeft, ...rest }) => ({ ...rest, endsAtMs: nowMs() + msLeft })));
      onFirstShared();
    },
    stop: onStopRequest,
  });
  const starting = firstShared.then(() =>
    startCheckServer({
      configStore,
      log,
      metrics,
      rollout,
      overrides,
      onReadiness: (readiness) => report(readiness, checkServer?.grpc),
    }),
  );
  checkServer = await starting;
  // They may have changed meanwhile.
  checkServer.useOverrides();
  report(checkServer.readiness(), checkServer.grpc);
  const { reload, stop } = checkServer;
  return {
    reload,
    async stop() {
      await stop();
      await log.close();
    },
  };
}
