/** Owns one process that answers checks: builds every part in order, and starts, reloads and stops them. */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { Readiness } from '../admin/readiness.ts';
import { type CheckRules, createChecker } from '../checker.ts';
import type { ListenAddress } from '../config/address.ts';
import type { Settings } from '../config/schema.ts';
import { createGrpcJsTransport } from '../grpc/grpc-js-transport.ts';
import type { TlsMaterial } from '../net/tls-material.ts';
import {
  type ConfigStore,
  decryptionWarnings,
  type LoadedConfig,
  type Outcome,
} from '../sources/config-store.ts';
import type { FileKind } from '../sources/file-resource.ts';
import { createKeyStore, type KeyStore } from '../sources/key-store.ts';
import { startPolling } from '../sources/poller.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { listenOrThrow } from './listen-error.ts';

export interface CheckServer {
  readonly grpc: ListenAddress;
  readiness(): Readiness;
  /** Looks at every file and URL now. */
  reload(): Promise<void>;
  /** Drains as `drain` in the configuration says, and ends when every check in flight is answered. */
  stop(): Promise<void>;
}

interface CheckServerOptions {
  readonly files: ConfigStore;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Called whenever the readiness may have changed. */
  readonly onReadiness: (readiness: Readiness) => void;
}

/** @throws {ListenError} the listener cannot bind. */
export async function startCheckServer({
  files,
  log,
  metrics,
  onReadiness,
}: CheckServerOptions): Promise<CheckServer> {
  const { settings } = files.current().config;
  let { tls } = files.current();
  const nowSeconds = (): number => Date.now() / 1000;
  const nowMs = (): number => performance.now();

  const keyStore = createKeyStore({
    keys: files.current().keys,
    proxy: files.current().config.proxy,
    nowMs,
    onFetched(outcome, isNew) {
      metrics.reloaded('jwks', outcome, nowSeconds());
      if (outcome === 'failure')
        log.warn({ keys: Object.fromEntries(keyStore.problems()) }, 'keys not fetched');
      if (isNew) useRules();
    },
  });
  const checker = createChecker({
    rules: rulesOf(files.current(), keyStore),
    observers: [metrics, log],
    metrics,
    log,
    nowSeconds,
    onUnknownKid: () => keyStore.onUnknownKid(),
  });
  const server = createGrpcJsTransport({
    check: (message, { traceparent }) => checker.check(message, traceparent),
    onStarted: () => metrics.checkStarted(),
    onAbandoned: (cause) => metrics.checkAbandoned(cause),
    unixSocketMode: Number.parseInt(settings.listen.unixSocketMode, 8),
    onListenerError: (error) => log.listenerError(error),
    maxConnections: settings.limits.connections,
    maxConcurrentStreams: settings.connection.maxConcurrentStreams,
    maxConnectionAgeSeconds: settings.connection.maxAgeSeconds,
    maxMessageBytes: settings.limits.messageBytes,
    maxMetadataBytes: settings.limits.grpcMetadataBytes,
    tls,
  });

  let isListening = false;
  let isDraining = false;

  function readiness(): Readiness {
    const { keys, missing } = keyStore.keyset();
    return {
      isReady: isListening && !isDraining && keys.length > 0,
      components: {
        process: isDraining ? 'draining' : isListening ? 'serving' : 'starting',
        keys: {
          loaded: keys.map(({ id, kid, fingerprint }) => ({ id, kid, fingerprint })),
          missing: missing.map(({ id }) => id),
        },
        files: fileStates(files),
        urls: Object.fromEntries(keyStore.problems()),
      },
    };
  }

  /** Health and `/readyz` say the same. */
  function reportReadiness(): void {
    const now = readiness();
    server.setServing(now.isReady);
    onReadiness(now);
  }

  let warned: readonly string[] = [];

  /** Each once, until it has gone and come again. */
  function warnOfKeys(): void {
    const warnings = [...keyStore.warnings(), ...decryptionWarnings(files.current())];
    for (const warning of warnings) if (!warned.includes(warning)) log.warn({ warning }, 'key warning');
    warned = warnings;
  }

  function useRules(): void {
    const configuration = files.current();
    warnOfKeys();
    checker.replaceRules(rulesOf(configuration, keyStore));
    metrics.configured(configuration.config.policyTable, keyIds(configuration));
    reportReadiness();
  }

  function useConfiguration(): void {
    const { config, keys } = files.current();
    keyStore.replaceKeys(keys);
    useRules();
    log.configure(config.policyTable, config.settings.log);
    useCertificate();
    for (const field of restartFields(settings, config.settings)) {
      log.warn({ field }, 'change takes effect at the next start');
    }
  }

  function useCertificate(): void {
    const next = renewed(tls, files.current().tls);
    if (isDeepStrictEqual(next, tls) || next === undefined) return;
    tls = next;
    server.useTls(next);
  }

  function report({ kind, problems }: Outcome): void {
    metrics.reloaded(kind, problems.length === 0 ? 'success' : 'failure', nowSeconds());
    if (problems.length === 0) log.info({ source: kind }, 'reloaded');
    for (const { path, message } of problems) {
      log.error({ source: kind, path, problem: message }, 'not reloaded: the last good state serves');
    }
  }

  /** SIGHUP says that what is there is complete. */
  async function look(stopRequested: boolean): Promise<void> {
    const outcomes = await files.refresh(stopRequested);
    if (outcomes.some(({ problems }) => problems.length === 0)) useConfiguration();
    outcomes.forEach(report);
    if (outcomes.length > 0) reportReadiness();
  }

  metrics.jwksAgesFrom(() => keyStore.ages());
  metrics.configured(files.current().config.policyTable, keyIds(files.current()));
  for (const kind of kindsInUse(files.current())) metrics.loaded(kind, nowSeconds());
  warnOfKeys();

  const grpc = await listenOrThrow(settings.listen.grpc, (target) => server.listen(target));
  isListening = true;
  reportReadiness();
  const poller = startPolling(look, (error) => log.internalError(error));

  return {
    grpc,
    readiness,
    async reload() {
      keyStore.refetch();
      await poller.pollNow();
    },
    async stop() {
      const { delaySeconds, timeoutSeconds } = files.current().config.settings.drain;
      isDraining = true;
      poller.stop();
      reportReadiness();
      log.info({ delay_seconds: delaySeconds, timeout_seconds: timeoutSeconds }, 'draining');
      await sleep(delaySeconds * 1000);
      await server.shutdown(timeoutSeconds * 1000);
      keyStore.stop();
    },
  };
}

/** What is wrong with the files of each kind now, as `/readyz` shows it. */
export function fileStates(files: ConfigStore): Readonly<Record<string, 'ok' | readonly string[]>> {
  return Object.fromEntries(
    Array.from(files.problems(), ([kind, problems]) => [
      kind,
      problems.length === 0 ? 'ok' : problems.map(({ path, message }) => `${path}: ${message}`),
    ]),
  );
}

/** Whether clients must show a certificate is bound at the start: a reload must not switch that on or off. */
function renewed(bound: TlsMaterial | undefined, next: TlsMaterial | undefined): TlsMaterial | undefined {
  if (bound === undefined || next === undefined) return bound;
  return { ...next, clientCa: bound.clientCa && (next.clientCa ?? bound.clientCa) };
}

function rulesOf({ config, decryptionKeys }: LoadedConfig, keyStore: KeyStore): CheckRules {
  return {
    policyTable: config.policyTable,
    keyset: keyStore.keyset(),
    decryptionKeys,
    denied: config.settings.denied,
    tokenCacheEntries: config.settings.tokenCache.maxEntries,
  };
}

function keyIds({ config }: LoadedConfig): readonly string[] {
  return [...config.keys, ...config.decryptionKeys.filter((key) => !key.isNested)].map(({ id }) => id);
}

function kindsInUse({ config, tls }: LoadedConfig): readonly FileKind[] {
  const hasJwksFile = config.keys.some(
    ({ format: source, location: from }) => source === 'jwks' && 'file' in from,
  );
  const hasTls =
    tls !== undefined || config.keys.some(({ location: from }) => 'url' in from && from.caFile !== undefined);
  return [
    'config',
    'keys',
    ...(hasJwksFile ? (['jwks'] as const) : []),
    ...(hasTls ? (['tls'] as const) : []),
  ];
}

/** What is bound or handed out when the process starts, and so cannot change while it runs. */
function restartFields(running: Settings, next: Settings): readonly string[] {
  const fields = ['listen', 'connection', 'limits', 'workers'] as const;
  return fields.filter((field) => JSON.stringify(running[field]) !== JSON.stringify(next[field]));
}
