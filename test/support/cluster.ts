/** Installs the chart in namespaces of a given Kubernetes cluster with a real node, and forwards ports to it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CHART } from './chart.ts';
import { runTool, runToolOrThrow, startTool } from './platform-tool.ts';
import type { Requirement } from './requirement.ts';

/** Never the user's default kubeconfig: the tests create and delete objects. */
const KUBECONFIG = process.env['PLATFORM_KUBECONFIG'];
/** The image on the node, built from the Dockerfile. */
export const IMAGE_REPOSITORY = 'approov-ext-authz';
export const IMAGE_TAG = 'platform-test';

const POLL_MS = 500;
/** Generous: a kubelet may take more than a minute to renew a mounted Secret. */
const WAIT_TIMEOUT_MS = 240_000;

/** What the node tests need besides programs. */
export const NODE: Requirement = {
  name: `a cluster whose node has the image ${IMAGE_REPOSITORY}:${IMAGE_TAG}`,
  source:
    'for example kind: `kind create cluster --kubeconfig FILE`, ' +
    `\`docker build -t ${IMAGE_REPOSITORY}:${IMAGE_TAG} .\`, ` +
    `\`kind load docker-image ${IMAGE_REPOSITORY}:${IMAGE_TAG}\`, and PLATFORM_KUBECONFIG=FILE`,
  isMet: async () => {
    if (KUBECONFIG === undefined) return false;
    const { code, output } = await runTool('kubectl', [
      '--kubeconfig',
      KUBECONFIG,
      'get',
      'nodes',
      '-o',
      'json',
    ]);
    if (code !== 0) return false;
    const { items } = JSON.parse(output) as { items: { status: { images?: { names: string[] }[] } }[] };
    const names = items.flatMap(({ status }) => status.images ?? []).flatMap((image) => image.names);
    return names.some((name) => name.endsWith(`/${IMAGE_REPOSITORY}:${IMAGE_TAG}`));
  },
};

export interface Pod {
  readonly name: string;
  readonly uid: string;
  /** The logs of all containers together. */
  readonly restarts: number;
}

export interface Namespace {
  readonly name: string;
  kubectl(...args: string[]): Promise<string>;
  helm(...args: string[]): Promise<string>;
  /** Creates or replaces a Secret or ConfigMap. */
  put(kind: 'secret' | 'configmap', name: string, entries: Readonly<Record<string, string>>): Promise<void>;
  /** `helm upgrade --install` of the chart with the image under test; returns what helm prints. */
  install(values: Readonly<Record<string, unknown>>, ...options: string[]): Promise<string>;
  /** The pods of a label selector that are not terminating. */
  pods(selector: string): Promise<readonly Pod[]>;
  /** Forwards a local port to a deployment; closed with the namespace. */
  forward(deployment: string, port: number): Promise<string>;
  remove(): Promise<void>;
}

/** Creates a new namespace; `remove` resolves once it is deleted. */
export async function createNamespace(name: string): Promise<Namespace> {
  const kubeconfig = KUBECONFIG ?? '';
  const folder = mkdtempSync(join(tmpdir(), 'cluster-'));
  const kubectl = (...args: string[]) =>
    runToolOrThrow('kubectl', ['--kubeconfig', kubeconfig, '--namespace', name, ...args]);
  const helm = (...args: string[]) =>
    runToolOrThrow('helm', [...args, '--kubeconfig', kubeconfig, '--namespace', name]);
  const write = (file: string, content: unknown): string => {
    const path = join(folder, file);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content), { mode: 0o600 });
    return path;
  };
  const closers: (() => Promise<void>)[] = [];
  await kubectl('create', 'namespace', name);

  return {
    name,
    kubectl,
    helm,

    async put(kind, object, entries) {
      const manifest = {
        apiVersion: 'v1',
        kind: kind === 'secret' ? 'Secret' : 'ConfigMap',
        metadata: { name: object },
        [kind === 'secret' ? 'stringData' : 'data']: entries,
      };
      // Server-side apply by one field manager also drops the entries that were removed.
      await kubectl('apply', '--server-side', '--force-conflicts', '-f', write(`${object}.json`, manifest));
    },

    install(values, ...options) {
      const image = { repository: IMAGE_REPOSITORY, tag: IMAGE_TAG };
      const file = write('values.json', { image, ...values });
      const args = ['upgrade', '--install', 'approov-ext-authz', CHART, '--values', file];
      return helm(...args, '--wait', '--timeout', '5m', ...options);
    },

    async pods(selector) {
      const { items } = JSON.parse(await kubectl('get', 'pods', '--selector', selector, '-o', 'json')) as {
        items: {
          metadata: { name: string; uid: string; deletionTimestamp?: string };
          status: { containerStatuses?: { restartCount: number }[] };
        }[];
      };
      return items
        .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
        .map(({ metadata, status }) => ({
          name: metadata.name,
          uid: metadata.uid,
          restarts: (status.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0),
        }))
        .sort((one, other) => one.name.localeCompare(other.name));
    },

    async forward(deployment, port) {
      const target = ['--kubeconfig', kubeconfig, '--namespace', name];
      const tool = startTool('kubectl', [
        ...target,
        'port-forward',
        '--address',
        '127.0.0.1',
        `deployment/${deployment}`,
        `:${port}`,
      ]);
      closers.push(tool.stop);
      return eventually(`port ${port} of ${deployment}`, async () => {
        const [, address] = /Forwarding from (127\.0\.0\.1:\d+)/.exec(tool.output()) ?? [];
        if (address === undefined && !tool.isRunning()) throw new Error(tool.output());
        return address;
      });
    },

    async remove() {
      for (const close of closers) await close();
      await kubectl('delete', 'namespace', name, '--wait=true', '--timeout=180s');
      rmSync(folder, { recursive: true });
    },
  };
}

/** Polls until the result is defined. */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + WAIT_TIMEOUT_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`timed out waiting for ${what}`);
    await sleep(POLL_MS);
  }
}
