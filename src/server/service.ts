/** Assembles the service: log, metrics, admin pages and check server, in one process or with workers. */
import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { Registry } from 'prom-client';
import { type AdminServer, createAdminServer, type Readiness } from '../admin/admin-server.ts';
import { formatAddress, type ListenAddress } from '../config/address.ts';
import { formatConfig } from '../config/format-config.ts';
import { createRolloutRecorder } from '../rollout/recorder.ts';
import { wouldDenyRatios } from '../rollout/summarize.ts';
import type { ConfigStore } from '../sources/config-store.ts';
import { startPolling } from '../sources/poller.ts';
import { loadLineFormat } from '../telemetry/line-format.ts';
import { createLog, type Log } from '../telemetry/log.ts';
import { createMetrics, type Metrics } from '../telemetry/metrics.ts';
import { createWorkerRestarts } from '../telemetry/primary-metrics.ts';
import { registerWouldDenyRatio } from '../telemetry/rollout-metrics.ts';
import { VERSION } from '../version.ts';
import { type CheckServer, nowSeconds, startCheckServer } from './check-server.ts';
import { summarizeConfig } from './describe-config.ts';
import { fileStates } from './describe-readiness.ts';
import { listenOrThrow } from './listen-error.ts';
import type { ModeOverrides } from './mode-overrides.ts';
import { endOfLifeWarning } from './node-release.ts';
import { createOverrideControl } from './override-control.ts';
import { judgedPolicies, type RolloutSources, reportRollout } from './rollout-report.ts';
import { startWorker } from './worker.ts';
import { isWorker } from './worker-channel.ts';
import { createWorkerPool } from './worker-pool.ts';

export interface Service {
  /** Reads every file and fetches every URL now. */
  reload(): Promise<void>;
  /** Drains, and resolves once every check in flight is answered. */
  stop(): Promise<void>;
}

/**
 * @param onStopRequest called in a worker when its primary wants it to stop.
 * @throws {ListenError} a listener cannot bind.
 * @throws {WorkerStartError} the first worker ended before it listened.
 */
export async function startService(configStore: ConfigStore, onStopRequest: () => void): Promise<Service> {
  const { settings, policyTable } = configStore.current().config;
  const metrics = createMetrics(VERSION);
  const log = createLog({
    settings: settings.log,
    formatLine: await loadLineFormat(settings.log.format, process.stdout),
    warnsAboutModes: !isWorker(),
    nowMs,
    onSuppressed: (reason, count) => metrics.linesSuppressed(reason, count),
  });
  log.configure(policyTable, settings.log);
  if (isWorker()) return startWorker({ configStore, log, metrics, nowMs, onStopRequest });
  const warning = endOfLifeWarning(process.versions.node, new Date());
  if (warning !== undefined) log.warn({}, warning);
  const count = settings.workers === 'auto' ? availableParallelism() : settings.workers;
  return count === 1 ? startSingle(configStore, log, metrics) : startPrimary(configStore, log, count);
}

function nowMs(): number {
  return performance.now();
}

async function startSingle(configStore: ConfigStore, log: Log, metrics: Metrics): Promise<Service> {
  const { registry } = metrics;
  createWorkerRestarts(registry);
  const rollout = createRolloutRecorder(nowSeconds());
  rollout.useDeviceKey(randomBytes(8));
  let checkServer: CheckServer | undefined;
  const onChange = (): void => checkServer?.useOverrides();
  const overrides = createOverrideControl({ configStore, log, registry, nowMs, onChange });
  const judged = () => judgedPolicies(configStore.current().config, overrides.modes.modes());
  registerWouldDenyRatio(registry, () => wouldDenyRatios(rollout.snapshot(), judged(), nowSeconds()));
  const admin = createAdmin(configStore, log, {
    readiness: () => checkServer?.readiness() ?? STARTING,
    metricsText: () => registry.metrics(),
    overrides,
    snapshot: () => rollout.snapshot(),
    processes: 1,
  });
  const address = await listenAdmin(configStore, admin);
  checkServer = await startCheckServer({
    configStore,
    log,
    metrics,
    rollout,
    overrides: overrides.modes,
    onReadiness: () => undefined,
  });
  // One may have been set meanwhile.
  checkServer.useOverrides();
  logServing(log, configStore, checkServer.grpc, address);
  const { reload, stop } = checkServer;
  return {
    reload,
    async stop() {
      logHint(log, configStore, STOP_HINT);
      await stop();
      await admin.close();
      await logStopped(log);
    },
  };
}

/** The primary answers no checks: it supervises the workers and serves the admin pages for all of them. */
async function startPrimary(configStore: ConfigStore, log: Log, count: number): Promise<Service> {
  const registry = new Registry();
  const onChange = (): void => workers.useOverrides();
  const overrides = createOverrideControl({ configStore, log, registry, nowMs, onChange });
  const workers = createWorkerPool({
    log,
    nowMs,
    nowSeconds,
    policyNames: () => judgedPolicies(configStore.current().config, overrides.modes.modes()),
    overrides: overrides.modes.active,
  });
  const admin = createAdmin(configStore, log, {
    readiness() {
      const { isReady, components } = workers.readiness();
      // The primary's own view of the files also covers the case that a bad file keeps every worker from starting.
      return { isReady, components: { files: fileStates(configStore), ...components } };
    },
    metricsText: async () => (await workers.metricsText()) + (await registry.metrics()),
    overrides,
    snapshot: () => workers.rollout(),
    processes: count,
  });
  const address = await listenAdmin(configStore, admin);
  const grpc = await workers.start(count);
  const poller = startPolling(
    (isRequested) => pollPrimary(configStore, log, overrides.modes, isRequested),
    (error) => log.internalError(error),
  );
  logServing(log, configStore, grpc, address);
  return {
    async reload() {
      workers.reload();
      await poller.pollNow();
    },
    async stop() {
      poller.stop();
      logHint(log, configStore, STOP_HINT);
      await workers.stop(drainMs(configStore));
      await admin.close();
      await logStopped(log);
    },
  };
}

/** For the admin pages and the warnings about policies; each worker reads the files and reports problems itself. */
async function pollPrimary(
  configStore: ConfigStore,
  log: Log,
  overrides: ModeOverrides,
  isRequested: boolean,
): Promise<void> {
  const outcomes = await configStore.poll(isRequested);
  const { config } = configStore.current();
  const isNew = outcomes.some(({ source, problems }) => source === 'config' && problems.length === 0);
  if (!isNew) return;
  log.configure(config.policyTable, config.settings.log);
  overrides.retain(config.policyTable.policies);
}

const CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;
const STARTING: Readiness = { isReady: false, components: { process: 'starting' } };

interface AdminContent extends Pick<RolloutSources, 'metricsText' | 'snapshot' | 'processes'> {
  readonly readiness: () => Readiness;
  readonly overrides: ReturnType<typeof createOverrideControl>;
}

function createAdmin(
  configStore: ConfigStore,
  log: Log,
  { readiness, metricsText, overrides, ...counted }: AdminContent,
): AdminServer {
  return createAdminServer({
    readiness,
    rollout: () =>
      reportRollout({
        configStore,
        nowSeconds,
        metricsText,
        ...counted,
        urlProblems: () => readiness().components.urls ?? {},
        overrides: overrides.active,
      }),
    metrics: async () => ({ contentType: CONTENT_TYPE, text: await metricsText() }),
    configuration: () => formatConfig(configStore.current(), overrides.notes()),
    overrides,
    onError: (error) => log.internalError(error),
    onListenerError: (error) => log.listenerError(error),
  });
}

function listenAdmin(configStore: ConfigStore, admin: AdminServer): Promise<ListenAddress> {
  return listenOrThrow('admin', configStore.current().config.settings.listen.admin, (target) =>
    admin.listen(target),
  );
}

function drainMs(configStore: ConfigStore): number {
  const { delaySeconds, timeoutSeconds } = configStore.current().config.settings.drain;
  return (delaySeconds + timeoutSeconds) * 1000;
}

const DEFAULT_ADMIN = '127.0.0.1:9002';

const STOP_HINT = 'Press Ctrl-C again to stop immediately';

/** What to do next, for a person at a terminal. */
function logHint(log: Log, configStore: ConfigStore, hint: string): void {
  const { format } = configStore.current().config.settings.log;
  if (process.stdout.isTTY && format !== 'json') log.info({}, hint);
}

function logServing(log: Log, configStore: ConfigStore, grpc: ListenAddress, admin: ListenAddress): void {
  const loaded = configStore.current();
  const addresses = { grpc: formatAddress(grpc), admin: formatAddress(admin) };
  const { transport } = loaded.config.settings.listen;
  const summary = summarizeConfig(loaded);
  log.info(
    { version: VERSION, ...addresses, transport, config_file: configStore.file, ...summary },
    'serving',
  );
  const variable = addresses.admin === DEFAULT_ADMIN ? '' : `APPROOV_ADMIN_LISTEN=${addresses.admin} `;
  logHint(
    log,
    configStore,
    `no checks yet; in another terminal: ${variable}approov-ext-authz status; Ctrl-C drains and stops`,
  );
}

async function logStopped(log: Log): Promise<void> {
  log.info({}, 'stopped');
  await log.close();
}
