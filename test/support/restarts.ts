/** Instances of the service that restart at the same address, as behind a DNS name. */
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import { eventually } from './envoy.ts';
import { freePort } from './platform-tool.ts';
import { type RunningService, startServe } from './process.ts';
import { SECRET } from './token.ts';

export interface CheckServer {
  /** The current process. */
  service(): RunningService;
  /** Starts it again after it has exited. */
  start(): Promise<void>;
  /** Stops it with SIGTERM and starts it again. Resolves with the exit code. */
  restart(): Promise<number | null>;
}

/** @param args the arguments of `serve`. */
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

/** Waits until Envoy's health checks see this number of healthy instances. */
export async function healthyInstances(envoy: RunningEnvoy, count: number): Promise<void> {
  const name = 'cluster.approov_authz.membership_healthy';
  await eventually(async () => (await envoy.stats(name))[name] === count || undefined);
}

/** Restarts the instances one by one, each once Envoy sees the previous one healthy again. */
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
