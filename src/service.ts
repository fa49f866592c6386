/** Owns the running service: builds every part in order, and starts and stops them. */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAdminServer } from './admin-server.ts';
import { type CheckRules, createChecker } from './checker.ts';
import { formatAddress, type ListenAddress } from './config/address.ts';
import { formatConfig } from './config/effective.ts';
import type { Configuration } from './configuration.ts';
import { createAuthorizationServer } from './envoy/authorization-server.ts';
import type { ListenTarget } from './listener.ts';
import { createLog } from './log.ts';
import { createMetrics } from './metrics.ts';
import { VERSION } from './version.ts';

export interface Service {
  readonly grpc: ListenAddress;
  readonly admin: ListenAddress;
  /** Drains as `drain` in the configuration says, and ends when every check in flight is answered. */
  stop(): Promise<void>;
}

/** An address that cannot be listened on: the operator's to mend. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

/** @throws {ListenError} a listener cannot bind; nothing is left running then. */
export async function startService({ config, keys }: Configuration): Promise<Service> {
  const { settings, policyTable } = config;
  const nowSeconds = (): number => Date.now() / 1000;

  const metrics = createMetrics(VERSION);
  const log = createLog({
    settings: settings.log,
    nowMs: () => performance.now(),
    onSuppressed: (reason, count) => metrics.linesSuppressed(reason, count),
  });
  const rules: CheckRules = {
    policyTable,
    keyset: { keys },
    denied: settings.denied,
    verdictCacheEntries: settings.verdictCache.maxEntries,
  };
  const checker = createChecker({ rules, metrics, log, nowSeconds });
  let isDraining = false;

  const server = createAuthorizationServer({
    check: checker.check,
    onStarted: () => metrics.checkStarted(),
    onCancelled: (cause) => metrics.checkCancelled(cause),
    onListenerError: (error) => log.error({ error: error.message }, 'connection not accepted'),
    maxConnections: settings.limits.connections,
    maxConcurrentStreams: settings.connection.maxConcurrentStreams,
    maxMessageBytes: settings.limits.messageBytes,
  });
  const admin = createAdminServer({
    readiness: () => ({
      isReady: !isDraining,
      components: {
        process: isDraining ? 'draining' : 'serving',
        keys: Object.fromEntries(keys.map(({ id, fingerprint }) => [id, fingerprint])),
      },
    }),
    metrics: async () => ({
      contentType: metrics.registry.contentType,
      text: await metrics.registry.metrics(),
    }),
    configuration: () => formatConfig(config, keys),
    onFault: (error) => log.fault(error),
  });

  log.configure(policyTable, settings.log);
  metrics.configured(
    policyTable,
    keys.map(({ id }) => id),
  );
  metrics.loaded('config', nowSeconds());
  metrics.loaded('keys', nowSeconds());

  const socketMode = Number.parseInt(settings.listen.socketMode, 8);
  const adminAddress = await bind(settings.listen.admin, (target) => admin.listen(target));
  const grpcAddress = await bind(settings.listen.grpc, (target) => server.listen(target, socketMode)).catch(
    async (error: unknown) => {
      await admin.close();
      throw error;
    },
  );
  server.setServing(true);
  log.info(
    { version: VERSION, grpc: formatAddress(grpcAddress), admin: formatAddress(adminAddress) },
    'serving',
  );

  return {
    grpc: grpcAddress,
    admin: adminAddress,
    async stop() {
      const { delaySeconds, timeoutSeconds } = settings.drain;
      isDraining = true;
      server.setServing(false);
      log.info({ delay_seconds: delaySeconds, timeout_seconds: timeoutSeconds }, 'draining');
      await sleep(delaySeconds * 1000);
      await server.shutdown(timeoutSeconds * 1000);
      await admin.close();
      log.info({}, 'stopped');
      log.close();
    },
  };
}

async function bind(
  address: ListenAddress,
  listen: (target: ListenTarget) => Promise<ListenTarget>,
): Promise<ListenAddress> {
  try {
    return await listen(address);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ListenError(`cannot listen on ${formatAddress(address)}: ${code ?? message}`);
  }
}
