/** Runs a real Kubernetes API server: kube-apiserver and etcd from PATH, or a given disposable cluster. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, runTool, runToolOrThrow, startTool } from './platform-tool.ts';
import { answers, KUBECTL, program, type Requirement } from './requirement.ts';
import { type SampleObject, toManifest } from './sample-files.ts';

const START_TIMEOUT_MS = 180_000;

/** The kubeconfig file of a disposable cluster, such as one of kind, for machines without kube-apiserver and etcd. */
const GIVEN_KUBECONFIG = process.env['PLATFORM_KUBECONFIG'];

/** The Go modules with the CRDs that the samples use, and the folder or file in each. */
const CRDS = {
  // The experimental channel includes the standard one.
  'gateway-api': { module: 'sigs.k8s.io/gateway-api@v1.6.1', path: 'config/crd/experimental' },
  'envoy-gateway': {
    module: 'github.com/envoyproxy/gateway@v1.9.1',
    path: 'charts/gateway-helm/charts/crds/crds/generated',
  },
  contour: { module: 'github.com/projectcontour/contour@v1.33.8', path: 'examples/contour/01-crds.yaml' },
  istio: { module: 'istio.io/api@v1.31.1', path: 'kubernetes/customresourcedefinitions.gen.yaml' },
} as const;

export type CrdSet = keyof typeof CRDS;

export interface KubernetesApi {
  readonly kubeconfig: string;
  /** Runs kubectl, and returns its output whatever its exit code. */
  kubectl(...args: string[]): Promise<{ readonly code: number; readonly output: string }>;
  /** `kubectl apply` with further options; throws if an object is rejected. */
  apply(objects: readonly SampleObject[], ...options: string[]): Promise<string>;
  stop(): Promise<void>;
}

async function hasServer(): Promise<boolean> {
  return (await answers('kube-apiserver', ['--version'])) && (await answers('etcd', ['--version']));
}

const SERVER: Requirement = {
  name: 'kube-apiserver and etcd',
  source: 'their releases, or PLATFORM_KUBECONFIG of a disposable cluster',
  isMet: async () => GIVEN_KUBECONFIG !== undefined || (await hasServer()),
};
const GO = program('go', ['version'], 'https://go.dev/dl, to download the CRDs, which are in Go modules');
/** What `startKubernetesApi` needs. */
export const KUBERNETES_API: readonly Requirement[] = [SERVER, KUBECTL, GO];

/** Starts an API server with these CRDs and namespaces, and waits until it serves them. */
export async function startKubernetesApi(
  crds: readonly CrdSet[],
  namespaces: readonly string[],
): Promise<KubernetesApi> {
  const folder = mkdtempSync(join(tmpdir(), 'kubernetes-api-'));
  const closers: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).toReversed()) await close();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const isOurs = GIVEN_KUBECONFIG === undefined || (await hasServer());
    const kubeconfig = isOurs ? await launch(folder, closers) : GIVEN_KUBECONFIG;
    const api = createApi(kubeconfig, folder, stop);
    await install(api, crds);
    for (const name of namespaces) {
      const { code, output } = await api.kubectl('create', 'namespace', name);
      if (output.includes('AlreadyExists')) continue;
      if (code !== 0) throw new Error(output);
      if (!isOurs) closers.push(() => api.kubectl('delete', 'namespace', name, '--timeout=120s'));
    }
    return api;
  } catch (error) {
    await stop();
    throw error;
  }
}

function createApi(kubeconfig: string, folder: string, stop: () => Promise<void>): KubernetesApi {
  let files = 0;
  return {
    kubeconfig,
    stop,
    kubectl: (...args) => runTool('kubectl', ['--kubeconfig', kubeconfig, ...args]),
    apply(objects, ...options) {
      files += 1;
      const file = join(folder, `apply-${files}.yaml`);
      writeFileSync(file, toManifest(objects));
      return runToolOrThrow('kubectl', ['--kubeconfig', kubeconfig, 'apply', '-f', file, ...options]);
    },
  };
}

/** @returns the kubeconfig file. */
async function launch(folder: string, closers: (() => Promise<unknown>)[]): Promise<string> {
  const [port, etcdPort, peerPort] = [await freePort(), await freePort(), await freePort()];
  const etcd = `http://127.0.0.1:${etcdPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const token = randomBytes(16).toString('hex');
  const file = (name: string): string => join(folder, name);
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  writeFileSync(file('accounts.key'), privateKey, { mode: 0o600 });
  writeFileSync(file('tokens.csv'), `${token},admin,admin,"system:masters"\n`, { mode: 0o600 });
  const cluster = {
    server: `https://127.0.0.1:${port}`,
    'certificate-authority': file('pki/apiserver.crt'),
  };
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster }],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  };
  writeFileSync(file('kubeconfig'), JSON.stringify(kubeconfig), { mode: 0o600 });
  const store = startTool('etcd', [
    `--data-dir=${file('etcd')}`,
    `--listen-client-urls=${etcd}`,
    `--advertise-client-urls=${etcd}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    '--unsafe-no-fsync',
  ]);
  closers.push(store.stop);
  const server = startTool('kube-apiserver', [
    `--etcd-servers=${etcd}`,
    `--cert-dir=${file('pki')}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${port}`,
    '--endpoint-reconciler-type=none',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${file('accounts.key')}`,
    `--service-account-signing-key-file=${file('accounts.key')}`,
    `--token-auth-file=${file('tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-cluster-ip-range=10.96.0.0/16',
    '--shutdown-delay-duration=0s',
  ]);
  closers.push(server.stop);
  const deadline = Date.now() + START_TIMEOUT_MS;
  const ready = ['--kubeconfig', file('kubeconfig'), 'get', '--raw', '/readyz'];
  while ((await runTool('kubectl', ready)).code !== 0) {
    if (!server.isRunning() || Date.now() > deadline) {
      throw new Error(`kube-apiserver does not become ready: ${server.output().slice(-2000)}`);
    }
    await sleep(500);
  }
  return file('kubeconfig');
}

async function install(api: KubernetesApi, sets: readonly CrdSet[]): Promise<void> {
  for (const set of sets) {
    const { module, path } = CRDS[set];
    const files = await crdFiles(module, path);
    const options = files.flatMap((file) => ['-f', file]);
    await runToolOrThrow('kubectl', [
      '--kubeconfig',
      api.kubeconfig,
      'apply',
      '--server-side',
      '--force-conflicts',
      ...options,
    ]);
  }
  const { code, output } = await api.kubectl(
    'wait',
    '--for=condition=Established',
    'crd',
    '--all',
    '--timeout=60s',
  );
  if (code !== 0) throw new Error(`CRDs: ${output}`);
}

async function crdFiles(module: string, path: string): Promise<string[]> {
  // In another folder, since go would read the go.mod of this one.
  const answer = await runToolOrThrow('go', ['-C', tmpdir(), 'mod', 'download', '-json', module]);
  const { Dir: folder } = JSON.parse(answer) as { Dir: string };
  const source = join(folder, path);
  if (source.endsWith('.yaml')) return [source];
  const names = readdirSync(source).map((name) => join(source, name));
  return names.filter((name) => /kind: CustomResourceDefinition/.test(readFileSync(name, 'utf8')));
}
