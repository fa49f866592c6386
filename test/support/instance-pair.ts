/** Two instances of the service behind envoy.yaml, and the load that tests put on them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import { countChecks } from './admin-pages.ts';
import { EXT_AUTHZ, eventually, type Sample, startSample } from './envoy.ts';
import { type Load, startLoad, startPlainUpstream } from './load.ts';
import { type CheckServer, healthyInstances, startCheckServer } from './restarts.ts';

const PER_SECOND = 100;
/** The requests of about one second, sent before and after each event. */
export const SOME = PER_SECOND;

export interface InstancePair {
  readonly envoy: RunningEnvoy;
  readonly one: CheckServer;
  readonly other: CheckServer;
  startLoad(): Load;
  /** A statistic of the cluster of the service. */
  clusterStat(name: string): Promise<number | undefined>;
  stop(): Promise<void>;
}

/**
 * Starts them, and waits until Envoy sees both healthy.
 * @param config the configuration file of both instances.
 * @param change to envoy.yaml.
 */
export async function startPair(config: string, change?: (sample: Sample) => void): Promise<InstancePair> {
  const folder = mkdtempSync(join(tmpdir(), 'pair-'));
  const file = join(folder, 'config.yaml');
  writeFileSync(file, config);
  const upstream = await startPlainUpstream();
  const [one, other] = await Promise.all([
    startCheckServer(['--config', file]),
    startCheckServer(['--config', file]),
  ]);
  const services = [one, other].map((instance) => instance.service().grpc);
  const envoy = await startSample({ services, upstream: upstream.address }, (sample) => {
    allowForBusyMachine(sample);
    change?.(sample);
  });
  await healthyInstances(envoy, 2);
  return {
    envoy,
    one,
    other,
    startLoad: () => startLoad(envoy.port('api'), PER_SECOND),
    async clusterStat(name) {
      return (await envoy.stats(`^cluster\\.approov_authz\\.${name}$`))[`cluster.approov_authz.${name}`];
    },
    async stop() {
      await envoy.stop();
      await Promise.all([one, other].map((instance) => instance.service().kill()));
      await upstream.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/**
 * After a stall of the machine, the load sends what is overdue at once: more than the retry budget covers, and later than
 * health checks may take. Like the timeouts of a check, these limits are not what the tests are about.
 */
function allowForBusyMachine({ document }: Sample): void {
  const cluster = ['static_resources', 'clusters', 0];
  const budget = [...cluster, 'circuit_breakers', 'thresholds', 0, 'retry_budget', 'min_retry_concurrency'];
  const limits: readonly [path: readonly (string | number)[], sample: unknown, here: unknown][] = [
    [budget, 20, 4096],
    [[...cluster, 'health_checks', 0, 'timeout'], '1s', '5s'],
  ];
  for (const [path, sample, here] of limits) {
    if (document.getIn(path) !== sample) throw new Error(`envoy.yaml: ${path.join('.')} is not ${sample}`);
    document.setIn(path, here);
  }
}

/** Removes the retries of checks from envoy.yaml. */
export function withoutRetries({ httpFilter }: Sample): void {
  httpFilter(EXT_AUTHZ).deleteIn(['grpc_service', 'retry_policy']);
}

/** Waits until this number of further requests has completed. */
export async function more(load: Load, count: number): Promise<void> {
  const goal = load.ended + count;
  await eventually(() => load.ended >= goal || undefined);
}

/** The number of checks that an instance has answered. */
export function checksOf(instance: CheckServer): Promise<number> {
  return countChecks(instance.service().admin);
}

/** Prints numbers that depend on timing, so that they cannot be asserted. */
export function report(line: string): void {
  process.stderr.write(`${line}\n`);
}
