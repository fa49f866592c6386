/** Assembles one process that answers checks, and starts, reloads and stops it. */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Readiness } from '../admin/admin-server.ts';
import { type Checker, createChecker } from '../checker.ts';
import type { ListenAddress } from '../config/address.ts';
import type { ReloadSource } from '../config/config.ts';
import type { ListenSettings } from '../config/listen.ts';
import type { CreateTransport, TransportOptions } from '../grpc/transport.ts';
import type { RolloutRecorder } from '../rollout/recorder.ts';
import type { ConfigStore, ReloadOutcome } from '../sources/config-store.ts';
import { createKeyStore, type KeyStore } from '../sources/key-store.ts';
import type { LoadedConfig } from '../sources/loaded-config.ts';
import { startPolling } from '../sources/poller.ts';
import { createConnectionErrorLog } from '../telemetry/connection-errors.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { createSigningHint } from '../telemetry/signing-hint.ts';
import { type Changes, describeChanges } from './describe-config.ts';
import { describeReadiness, type Phase } from './describe-readiness.ts';
import { listenOrThrow } from './listen-error.ts';
import type { ModeOverrides } from './mode-overrides.ts';
import { openReplayGuard } from './open-replay-guard.ts';
import { createReloader, type Reloader, rulesOf } from './reloader.ts';

export interface CheckServer {
  readonly grpc: ListenAddress;
  readiness(): Readiness;
  /** Reads every file and fetches every URL now. */
  reload(): Promise<void>;
  /** Uses the modes of overrides, which have changed. */
  useOverrides(): void;
  /** Drains as configured, and resolves when every check in flight is answered. */
  stop(): Promise<void>;
}

interface CheckServerOptions {
  readonly configStore: ConfigStore;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly rollout: RolloutRecorder;
  readonly overrides: Pick<ModeOverrides, 'modes' | 'retain'>;
  /** Called whenever the readiness may have changed. */
  readonly onReadiness: (readiness: Readiness) => void;
}

/** @throws {ListenError} the listener cannot bind. */
export async function startCheckServer(options: CheckServerOptions): Promise<CheckServer> {
  const { configStore, log, metrics, rollout, overrides, onReadiness } = options;
  const start = configStore.current();
  // First, so that nothing is awaited between the first fetch of keys and the reloader that uses them.
  const createTransport = await TRANSPORTS[start.config.settings.listen.transport]();
  let phase: Phase = 'starting';

  const keyStore = openKeyStore(start, options, () => {
    reloader.useFetchedKeys();
    reportReadiness();
  });
  const replayGuard = openReplayGuard({ log, metrics, nowSeconds });
  const checker = createChecker({
    rules: rulesOf(start, keyStore, overrides.modes()),
    observers: [metrics, log, createSigningHint(log), rollout],
    metrics,
    log,
    nowSeconds,
    onUnknownKid: () => keyStore.onUnknownKid(),
    replayGuard,
  });
  const transport = createTransport(transportOptions(start, checker, options));
  const reloader = createReloader(start, {
    keyStore,
    checker,
    log,
    metrics,
    rollout,
    nowSeconds,
    useTls: (tls) => transport.useTls(tls),
    useReplayStore: (store) => void replayGuard.useStore(store),
    overriddenModes: overrides.modes,
  });

  const readiness = (): Readiness => describeReadiness(phase, keyStore, configStore, replayGuard);

  /** Health and `/readyz` always agree. */
  function reportReadiness(): void {
    const now = readiness();
    transport.setServing(now.isReady);
    onReadiness(now);
  }

  function enter(next: Phase): void {
    phase = next;
    reportReadiness();
  }

  async function poll(isRequested: boolean): Promise<void> {
    if (await applyChanges(isRequested, reloader, options)) reportReadiness();
  }

  metrics.jwksAgesFrom(() => keyStore.ages());
  for (const source of sourcesInUse(start)) metrics.loaded(source, nowSeconds());
  await replayGuard.useStore(start.replayStore);
  const grpc = await listenOrThrow('grpc', start.config.settings.listen.grpc, (address) =>
    transport.listen(address),
  );
  enter('serving');
  const poller = startPolling(poll, (error) => log.internalError(error));

  return {
    grpc,
    readiness,
    async reload() {
      keyStore.refetch();
      await poller.pollNow();
    },
    useOverrides: reloader.useOverrides,
    async stop() {
      const { delaySeconds, timeoutSeconds } = configStore.current().config.settings.drain;
      poller.stop();
      enter('draining');
      log.info({ delay_seconds: delaySeconds, timeout_seconds: timeoutSeconds }, 'draining');
      await sleep(delaySeconds * 1000);
      await transport.shutdown(timeoutSeconds * 1000);
      keyStore.stop();
      replayGuard.close();
    },
  };
}

/** Since the epoch. */
export function nowSeconds(): number {
  return Date.now() / 1000;
}

/** @param onNewKeys a fetched JWK Set differs from the last one. */
function openKeyStore(
  start: LoadedConfig,
  { configStore, log, metrics }: CheckServerOptions,
  onNewKeys: () => void,
): KeyStore {
  const keyStore = createKeyStore({
    keys: start.keys,
    proxy: () => configStore.current().config.proxy,
    nowMs: () => performance.now(),
    onError: (error) => log.internalError(error),
    onFetched(outcome, isNew) {
      metrics.reloaded('jwks', outcome, nowSeconds());
      if (outcome === 'failure')
        log.warn({ keys: Object.fromEntries(keyStore.problems()) }, 'JWKS fetch failed');
      if (isNew) onNewKeys();
    },
  });
  return keyStore;
}

/** Only the one in use is loaded: grpc-js and what it needs take 8 MiB. */
const TRANSPORTS: Readonly<Record<ListenSettings['transport'], () => Promise<CreateTransport>>> = {
  'grpc-js': async () => (await import('../grpc/grpc-js-transport.ts')).createGrpcJsTransport,
  lean: async () => (await import('../grpc/lean-transport.ts')).createLeanTransport,
};

function transportOptions(
  { config, tls }: LoadedConfig,
  checker: Checker,
  { log, metrics }: CheckServerOptions,
): TransportOptions {
  const { listen, limits, connection } = config.settings;
  return {
    check: (message, { traceparent }) => checker.check(message, traceparent),
    onStarted: () => metrics.checkStarted(),
    onAbandoned: (cause) => metrics.checkAbandoned(cause),
    unixSocketMode: Number.parseInt(listen.unixSocketMode, 8),
    onListenerError: (error) => log.listenerError(error),
    onConnectionError: createConnectionErrorLog(log, () => performance.now()),
    maxConnections: limits.connections,
    maxConcurrentStreams: connection.maxConcurrentStreams,
    maxConnectionAgeSeconds: connection.maxAgeSeconds,
    maxMessageBytes: limits.messageBytes,
    maxMetadataBytes: limits.grpcMetadataBytes,
    tls,
  };
}

/**
 * Loads what changed in the files, and applies it.
 * @param isRequested the operator says that no file is half-written (SIGHUP).
 * @returns whether anything changed.
 */
async function applyChanges(
  isRequested: boolean,
  reloader: Reloader,
  options: CheckServerOptions,
): Promise<boolean> {
  const { configStore, log, overrides } = options;
  const before = configStore.current();
  const outcomes = await configStore.poll(isRequested);
  logPoll(configStore.changedFiles(), outcomes, log);
  if (outcomes.length === 0) return false;
  reloader.apply(configStore.current());
  overrides.retain(configStore.current().config.policyTable.policies);
  const changes = describeChanges(before, configStore.current());
  for (const outcome of outcomes) recordOutcome(outcome, changes, options);
  return true;
}

/** No outcome: the files may be half-written. What changed in them is in the lines that follow. */
function logPoll(files: readonly string[], outcomes: readonly ReloadOutcome[], log: Log): void {
  if (files.length === 0) return;
  log.debug({ files, sources: outcomes.map(({ source }) => source) }, 'poll found changed files');
}

function recordOutcome(
  { source, problems }: ReloadOutcome,
  changes: Changes,
  { log, metrics }: CheckServerOptions,
): void {
  metrics.reloaded(source, problems.length === 0 ? 'success' : 'failure', nowSeconds());
  if (problems.length === 0) log.info({ source, changes: changes[source] }, 'reloaded');
  for (const { place, path, message } of problems)
    log.error(
      { source, place, path: path || undefined, problem: message },
      'reload failed; keeping last good state',
    );
}

/** Sources with at least one file, whose load at start counts as their last success. */
function sourcesInUse({ config, tls }: LoadedConfig): readonly ReloadSource[] {
  const hasJwksFile = config.keys.some(({ format, location }) => format === 'jwks' && 'file' in location);
  const hasCaFile = config.keys.some(({ location }) => 'url' in location && location.caFile !== undefined);
  return [
    'config',
    'keys',
    ...(hasJwksFile ? (['jwks'] as const) : []),
    ...(tls !== undefined || hasCaFile ? (['tls'] as const) : []),
  ];
}
