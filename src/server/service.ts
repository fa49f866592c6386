/** Owns the service: log, metrics, admin pages and what answers checks, built in order, in one process or with workers. */
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { Registry } from 'prom-client';
import { type AdminServer, createAdminServer, type Readiness } from '../admin/admin-server.ts';
import { formatAddress, type ListenAddress } from '../config/address.ts';
import { formatConfig } from '../config/format-config.ts';
import type { ConfigStore } from '../sources/config-store.ts';
import { startPolling } from '../sources/poller.ts';
import { createLog, type Log } from '../telemetry/log.ts';
import { createMetrics, type Metrics } from '../telemetry/metrics.ts';
import { createWorkerRestarts } from '../telemetry/primary-metrics.ts';
import { VERSION } from '../version.ts';
import { type CheckServer, startCheckServer } from './check-server.ts';
import { listenOrThrow } from './listen-error.ts';
import { fileStates } from './readiness.ts';
import { isWorker, serveAsWorker } from './worker-channel.ts';
import { createWorkers } from './workers.ts';

export interface Service {
  /** Looks at every file and URL now. */
  reload(): Promise<void>;
  /** Drains, and ends when every check in flight is answered. */
  stop(): Promise<void>;
}

/**
 * @param onStopRequest a worker's primary asks it to stop.
 * @throws {ListenError} a listener cannot bind.
 */
export async function startService(files: ConfigStore, onStopRequest: () => void): Promise<Service> {
  const { settings, policyTable } = files.current().config;
  const metrics = createMetrics(VERSION);
  const log = createLog({
    settings: settings.log,
    namesModes: !isWorker(),
    nowMs: () => performance.now(),
    onSuppressed: (reason, count) => metrics.linesSuppressed(reason, count),
  });
  log.configure(policyTable, settings.log);
  if (isWorker()) return startWorker(files, log, metrics, onStopRequest);
  const count = settings.workers === 'auto' ? availableParallelism() : settings.workers;
  return count === 1 ? startAlone(files, log, metrics) : startPrimary(files, log, count);
}

async function startAlone(files: ConfigStore, log: Log, metrics: Metrics): Promise<Service> {
  createWorkerRestarts(metrics.registry);
  let checkServer: CheckServer | undefined;
  const admin = createAdminServer({
    readiness: () => checkServer?.readiness() ?? STARTING,
    metrics: async () => ({ contentType: CONTENT_TYPE, text: await metrics.registry.metrics() }),
    configuration: () => formatCurrent(files),
    onError: (error) => log.fault(error),
    onListenerError: (error) => log.notAccepted(error),
  });
  const address = await listenAdmin(files, admin);
  checkServer = await startCheckServer({ files, log, metrics, onReadiness: () => undefined });
  logServing(log, checkServer.grpc, address);
  const { reload, stop } = checkServer;
  return {
    reload,
    async stop() {
      await stop();
      await admin.close();
      await logStopped(log);
    },
  };
}

/** The primary answers no check: it keeps the workers, and shows what they say. */
async function startPrimary(files: ConfigStore, log: Log, count: number): Promise<Service> {
  const workers = createWorkers(log, () => performance.now());
  const admin = createAdminServer({
    readiness() {
      const { isReady, components } = workers.readiness();
      // A bad file is told also where it keeps every worker from starting.
      return { isReady, components: { files: fileStates(files), ...components } };
    },
    metrics: async () => ({ contentType: CONTENT_TYPE, text: await workers.metricsText() }),
    configuration: () => formatCurrent(files),
    onError: (error) => log.fault(error),
    onListenerError: (error) => log.notAccepted(error),
  });
  const drainMs = (): number => {
    const { delaySeconds, timeoutSeconds } = files.current().config.settings.drain;
    return (delaySeconds + timeoutSeconds) * 1000;
  };
  const address = await listenAdmin(files, admin);
  const grpc = await workers.start(count);
  // The workers look at the files by themselves, and report of it; this look is for what is shown once for all.
  const look = async (isRequested: boolean): Promise<void> => {
    const outcomes = await files.poll(isRequested);
    const { config } = files.current();
    const isConfigNew = outcomes.some(({ source, problems }) => source === 'config' && problems.length === 0);
    if (isConfigNew) log.configure(config.policyTable, config.settings.log);
  };
  const poller = startPolling(look, (error) => log.fault(error));
  logServing(log, grpc, address);
  return {
    async reload() {
      workers.reload();
      await poller.pollNow();
    },
    async stop() {
      poller.stop();
      await workers.stop(drainMs());
      await admin.close();
      await logStopped(log);
    },
  };
}

async function startWorker(
  files: ConfigStore,
  log: Log,
  metrics: Metrics,
  onStopRequest: () => void,
): Promise<Service> {
  let checkServer: CheckServer | undefined;
  const report = serveAsWorker({
    metrics: () => metrics.registry.getMetricsAsJSON(),
    // Asked while it starts, it may have read the old files already. Why it cannot start is told below.
    reload: () => void starting.then(({ reload }) => reload()).catch(() => undefined),
    stop: onStopRequest,
  });
  const starting = startCheckServer({
    files,
    log,
    metrics,
    onReadiness: (readiness) => report(readiness, checkServer?.grpc),
  });
  checkServer = await starting;
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

const CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;
const STARTING: Readiness = { isReady: false, components: { process: 'starting' } };

function formatCurrent(files: ConfigStore): string {
  const { config, keys, decryptionKeys } = files.current();
  return formatConfig(config, keys, decryptionKeys);
}

function listenAdmin(files: ConfigStore, admin: AdminServer): Promise<ListenAddress> {
  return listenOrThrow(files.current().config.settings.listen.admin, (target) => admin.listen(target));
}

function logServing(log: Log, grpc: ListenAddress, admin: ListenAddress): void {
  log.info({ version: VERSION, grpc: formatAddress(grpc), admin: formatAddress(admin) }, 'serving');
}

async function logStopped(log: Log): Promise<void> {
  log.info({}, 'stopped');
  await log.close();
}
