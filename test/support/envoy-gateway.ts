/** Runs a real Envoy Gateway without Kubernetes: its file provider reads a folder, and it starts Envoy itself. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findEnvoy } from '../../scripts/envoy.mjs';
import { runToolOrThrow, startTool } from './platform-tool.ts';
import { program } from './requirement.ts';
import { type SampleObject, toManifest } from './sample-files.ts';

export const ENVOY_GATEWAY = program(
  'envoy-gateway',
  ['version'],
  'go install github.com/envoyproxy/gateway/cmd/envoy-gateway@v1.9.1',
);
export const EGCTL = program(
  'egctl',
  ['version', '--remote=false'],
  'go install github.com/envoyproxy/gateway/cmd/egctl@v1.9.1',
);

/** Envoy Gateway listens on these whatever its configuration says, so only one can run per machine. */
const FIXED_PORTS = [8081, 18000, 18001, 18002, 19000, 19001, 19003];
const START_TIMEOUT_MS = 90_000;

export interface RunningEnvoyGateway {
  readonly envoyVersion: string;
  /** Writes or replaces a file of the file provider; it takes effect within seconds. */
  write(name: string, objects: readonly SampleObject[]): void;
  output(): string;
  stop(): Promise<void>;
}

/**
 * Starts Envoy Gateway with these objects, and waits until the Gateway listens.
 * @param files the objects of each file, by file name.
 * @param port the port of the Gateway's first listener.
 */
export async function startEnvoyGateway(
  files: Readonly<Record<string, readonly SampleObject[]>>,
  port: number,
): Promise<RunningEnvoyGateway> {
  for (const fixed of FIXED_PORTS) {
    if (await isOpen(fixed))
      throw new Error(`port ${fixed} is in use: is another Envoy Gateway running on this machine?`);
  }
  const folder = mkdtempSync(join(tmpdir(), 'envoy-gateway-'));
  const served = join(folder, 'served');
  mkdirSync(served);
  const write = (name: string, objects: readonly SampleObject[]): void =>
    writeFileSync(join(served, `${name}.yaml`), toManifest(objects));
  for (const [name, objects] of Object.entries(files)) write(name, objects);

  const envoy = await findEnvoy();
  const envoyVersion = /\/(\d+\.\d+\.\d+)\//.exec(execFileSync(envoy, ['--version']).toString())?.[1] ?? '';
  // Envoy Gateway searches here before it downloads an Envoy.
  const store = join(folder, 'data', 'envoy-versions', envoyVersion, 'bin');
  mkdirSync(store, { recursive: true });
  copyFileSync(envoy, join(store, 'envoy'));

  const config = join(folder, 'config.yaml');
  writeFileSync(config, JSON.stringify(gatewayConfig(folder, served, envoyVersion)));
  const certs = ['certgen', '--local', '--config-home', join(folder, 'config')];
  await runToolOrThrow('envoy-gateway', certs);
  const process = startTool('envoy-gateway', ['server', '--config-path', config]);
  const gateway: RunningEnvoyGateway = {
    envoyVersion,
    write,
    output: process.output,
    async stop() {
      const children = childrenOf(process.pid);
      await process.stop();
      // Envoy Gateway stops its Envoy; one left behind would keep the ports.
      for (const pid of children.filter(isAlive)) globalThis.process.kill(pid, 'SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await isOpen(port))) {
    if (process.isRunning() && Date.now() < deadline) {
      await sleep(200);
      continue;
    }
    await gateway.stop();
    throw new Error(`Envoy Gateway does not open port ${port}: ${process.output().slice(-3000)}`);
  }
  return gateway;
}

function gatewayConfig(folder: string, served: string, envoyVersion: string): object {
  const host = {
    configHome: join(folder, 'config'),
    dataHome: join(folder, 'data'),
    stateHome: join(folder, 'state'),
    runtimeDir: join(folder, 'run'),
  };
  return {
    apiVersion: 'gateway.envoyproxy.io/v1alpha1',
    kind: 'EnvoyGateway',
    gateway: { controllerName: 'gateway.envoyproxy.io/gatewayclass-controller' },
    provider: {
      type: 'Custom',
      custom: {
        resource: { type: 'File', file: { paths: [served] } },
        infrastructure: { type: 'Host', host },
      },
    },
    envoyProxy: {
      provider: { type: 'Host', host: { envoyVersion } },
      extraArgs: ['--disable-hot-restart'],
      concurrency: 1,
      logging: { level: { default: 'warn' } },
    },
    logging: { level: { default: 'info' } },
    extensionApis: { enableBackend: true },
  };
}

/**
 * A copy whose references to Services name Backends in its own namespace: Envoy Gateway's file provider has no
 * Services, and drops the kind of a policy, which a ReferenceGrant to another namespace would need.
 */
export function withBackends(object: SampleObject): SampleObject {
  const walk = (node: unknown, key: string): unknown => {
    if (Array.isArray(node)) return node.map((item) => walk(item, key));
    if (typeof node !== 'object' || node === null) return node;
    const copy = Object.fromEntries(Object.entries(node).map(([name, value]) => [name, walk(value, name)]));
    if (key !== 'backendRefs') return copy;
    return { name: copy['name'], group: 'gateway.envoyproxy.io', kind: 'Backend' };
  };
  return walk(object, '') as SampleObject;
}

/** A Backend in place of a Service: a server at an address of this machine. */
export function backendAt(
  namespace: string,
  name: string,
  address: string,
  protocols: string[] = [],
): SampleObject {
  const colon = address.lastIndexOf(':');
  const ip = { address: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
  return {
    apiVersion: 'gateway.envoyproxy.io/v1alpha1',
    kind: 'Backend',
    metadata: { namespace, name },
    spec: { endpoints: [{ ip }], ...(protocols.length > 0 && { appProtocols: protocols }) },
  };
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function childrenOf(parent: number): number[] {
  const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid=']).toString().trim().split('\n');
  return rows
    .map((row) => row.trim().split(/\s+/).map(Number))
    .flatMap(([pid = 0, ppid]) => (ppid === parent ? [pid] : []));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
