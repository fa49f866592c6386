/** Owns instances of the service that come back under the address they had, as those behind a name do. */
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import { eventually } from './envoy.ts';
import { freePort } from './platform-tool.ts';
import { type RunningService, startServe } from './process.ts';
import { SECRET } from './token.ts';

export interface CheckServer {
  /** The one that runs now. */
  service(): RunningService;
  /** Starts it again, after its end. */
  start(): Promise<void>;
  /** Ends it by SIGTERM, and starts it again. Resolves with the exit code of the one that ended. */
  restart(): Promise<number | null>;
}

/** @param args of `serve`. */
export async function startCheckServer(args: readonly string[] = []): Promise<CheckServer> {
  const address = `127.0.0.1:${await freePort()}`;
  const start = () => startServe({ APPROOV_BASE64_SECRET: SECRET, APPROOV_GRPC_LISTEN: address }, args);
  let service = await start();
  return {
    service: () => service,
    async start() {
      service = await start();
    },
    async restart() {
      service.signal('SIGTERM');
      const code = await service.ended;
      service = await start();
      return code;
    },
  };
}

/** Waits until Envoy's health checks see so many instances up. */
export async function healthyInstances(envoy: RunningEnvoy, count: number): Promise<void> {
  const name = 'cluster.approov_authz.membership_healthy';
  await eventually(async () => (await envoy.stats(name))[name] === count || undefined);
}

/** Restarts one instance after the other, each when Envoy has seen the one before come back. */
export async function restartAll(
  envoy: RunningEnvoy,
  instances: readonly CheckServer[],
): Promise<(number | null)[]> {
  const codes: (number | null)[] = [];
  for (const instance of instances) {
    codes.push(await instance.restart());
    await healthyInstances(envoy, instances.length);
  }
  return codes;
}
