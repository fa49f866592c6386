/** Tests the chart on a real cluster: the image runs, an Envoy calls it, and upgrades lose no request. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { createCertificates, type KeyPair } from '../support/certificates.ts';
import { valuesFile } from '../support/chart.ts';
import { createNamespace, eventually, type Namespace, NODE } from '../support/cluster.ts';
import { ENVOY_CONFIG } from '../support/envoy.ts';
import { startLoad } from '../support/load.ts';
import { HELM, KUBECTL, OPENSSL, unmet } from '../support/requirement.ts';
import { sampleFolder } from '../support/sample-files.ts';
import { freshToken, OTHER_SECRET, OTHER_SECRET_BYTES, SECRET, SECRET_BYTES } from '../support/token.ts';

const AUTHZ = 'app.kubernetes.io/name=approov-ext-authz';
/** Enough requests to hit every moment of a rollout, few enough for a small machine. */
const REQUESTS_PER_SECOND = 100;
/** Enough for each of two instances, called in turn, to have answered several times. */
const ASKED_IN_A_ROW = 10;
const SUFFIX = randomBytes(3).toString('hex');
const PAGE = readFileSync(new URL('../../docs/install/kubernetes.md', import.meta.url), 'utf8');
const UPSTREAM = readFileSync(join(sampleFolder('.'), 'upstream.mjs'), 'utf8');

const skipped = await unmet(
  [HELM, KUBECTL, NODE, OPENSSL],
  'that the chart runs our image, rolls without a lost request, and takes new secrets without a restart',
);

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, string>>;
}

/** Calls the API through Envoy, with a token signed with this secret or without one. */
async function ask(address: string, secret?: Buffer): Promise<Answer> {
  const headers: Record<string, string> =
    secret === undefined ? {} : { 'approov-token': freshToken({}, { secret }) };
  const response = await fetch(`http://${address}/orders`, { headers });
  const isJson = response.headers.get('content-type') === 'application/json';
  const text = await response.text();
  return { status: response.status, body: isJson ? JSON.parse(text) : {} };
}

/** Waits until every instance gives this answer: they load a change one by one, and Envoy calls them in turn. */
function becomes(address: string, status: number, secret?: Buffer): Promise<Answer> {
  return eventually(`status ${status} from all instances`, async () => {
    for (let asked = 1; ; asked += 1) {
      const answer = await ask(address, secret);
      if (answer.status !== status) return undefined;
      if (asked === ASKED_IN_A_ROW) return answer;
    }
  });
}

async function putEnvoy(namespace: Namespace, config: string): Promise<void> {
  await namespace.put('configmap', 'envoy', { 'envoy.yaml': config });
  await namespace.put('configmap', 'upstream', { 'upstream.mjs': UPSTREAM });
}

describe.skipIf(skipped !== '')(`the chart on a node${skipped}`, () => {
  let namespace: Namespace;
  let envoy: string;
  let notes: string;

  beforeAll(async () => {
    namespace = await createNamespace(`approov-${SUFFIX}`);
    await namespace.put('secret', 'approov', { current: SECRET });
    await putEnvoy(namespace, readFileSync(ENVOY_CONFIG, 'utf8'));
    notes = await namespace.install({});
    await namespace.kubectl('apply', '--kustomize', join(sampleFolder('kubernetes'), 'try'));
    await namespace.kubectl('rollout', 'status', 'deployment/envoy', 'deployment/upstream', '--timeout=120s');
    envoy = await namespace.forward('envoy', 10_000);
  });

  afterAll(async () => {
    await namespace?.remove();
  });

  test('observes at first, and helm says so', async () => {
    expect(notes).toContain('Policy "default" is in mode observe');
    expect((await becomes(envoy, 200)).body).toMatchObject({
      'x-approov-verdict': 'unverified',
      'x-approov-action': 'allow',
      'x-approov-reason': 'missing_approov_token',
    });
    expect((await ask(envoy, SECRET_BYTES)).body).toMatchObject({ 'x-approov-verdict': 'verified' });
  });

  test('answers its own health check inside the container', async () => {
    await namespace.kubectl('exec', 'deploy/approov-ext-authz', '--', 'node', 'dist/cli.js', 'healthcheck');
    const config = await namespace.kubectl(
      'exec',
      'deploy/approov-ext-authz',
      '--',
      'node',
      'dist/cli.js',
      'check-config',
    );
    expect(parse(config).keys[0]).toMatchObject({ id: 'current', algorithms: ['HS256'] });
    expect(config).not.toContain(SECRET);
  });

  test('enforces after an upgrade, without a restart', async () => {
    const before = await namespace.pods(AUTHZ);
    expect(before).toHaveLength(2);
    await namespace.install({ config: { policies: { default: { mode: 'enforce' } } } });
    await becomes(envoy, 401);
    expect((await ask(envoy, SECRET_BYTES)).status).toBe(200);
    expect((await ask(envoy, OTHER_SECRET_BYTES)).status).toBe(401);
    expect(await namespace.pods(AUTHZ)).toEqual(before);
  });

  test('rolls all pods under load without a failed request', async () => {
    const before = await namespace.pods(AUTHZ);
    const load = startLoad(Number(envoy.split(':')[1]), REQUESTS_PER_SECOND);
    await namespace.kubectl('rollout', 'restart', 'deployment/approov-ext-authz');
    await namespace.kubectl('rollout', 'status', 'deployment/approov-ext-authz', '--timeout=400s');
    // Until the last old pod has drained and exited.
    await eventually('the end of the old pods', async () => {
      const all = await namespace.kubectl('get', 'pods', '--selector', AUTHZ, '-o', 'name');
      return all.trim().split('\n').length === 2 ? true : undefined;
    });
    const { sent, failures } = await load.stop();
    process.stdout.write(`rolled under load: ${sent} requests, ${failures.length} failed\n`);
    // Before the count, so that a failure shows why Envoy answered itself.
    const accessLog = (await namespace.kubectl('logs', 'deployment/envoy', '--tail=-1')).split('\n');
    const ofTheLoad = accessLog.filter((line) => line.includes('"path":"/orders/'));
    expect(ofTheLoad).not.toEqual([]);
    expect(ofTheLoad.filter((line) => /"status":5\d\d/.test(line))).toEqual([]);
    expect(failures).toEqual([]);
    expect(sent).toBeGreaterThan(500);
    const after = await namespace.pods(AUTHZ);
    expect(after).toHaveLength(2);
    for (const { uid } of after) expect(before.map((pod) => pod.uid)).not.toContain(uid);
  });

  test('adds the next secret and then removes the current one, without a restart', async () => {
    const before = await namespace.pods(AUTHZ);
    const enforce = { policies: { default: { mode: 'enforce' } } };
    const key = (id: string) => ({ id, secretFile: `/run/secrets/approov/${id}` });

    await namespace.put('secret', 'approov', { current: SECRET, next: OTHER_SECRET });
    await namespace.install({ config: { ...enforce, keys: [key('current'), key('next')] } });
    await becomes(envoy, 200, OTHER_SECRET_BYTES);
    expect((await ask(envoy, SECRET_BYTES)).status).toBe(200);

    await namespace.install({ config: { ...enforce, keys: [key('next')] } });
    await becomes(envoy, 401, SECRET_BYTES);
    expect((await ask(envoy, OTHER_SECRET_BYTES)).status).toBe(200);
    expect(await namespace.pods(AUTHZ)).toEqual(before);
  });

  test('reloads an edited Secret without a restart', async () => {
    const before = await namespace.pods(AUTHZ);
    const replaced = randomBytes(48);
    await namespace.put('secret', 'approov', { next: replaced.toString('base64') });
    await becomes(envoy, 200, replaced);
    await becomes(envoy, 401, OTHER_SECRET_BYTES);
    expect(await namespace.pods(AUTHZ)).toEqual(before);
  });

  test('rolls back to an earlier release, and uninstalls without leaving objects', async () => {
    await namespace.helm('rollback', 'approov-ext-authz', '1', '--wait');
    await becomes(envoy, 200);
    await namespace.helm('uninstall', 'approov-ext-authz', '--wait');
    const kinds = 'deployment,service,configmap,serviceaccount,networkpolicy,poddisruptionbudget,pod';
    await eventually('the end of the pods', async () => {
      const left = await namespace.kubectl('get', kinds, '--selector', AUTHZ, '-o', 'name');
      return left.trim() === '' ? true : undefined;
    });
    // Envoy fails closed while no instance answers.
    await becomes(envoy, 503);
  });
});

describe.skipIf(skipped !== '')(`an Envoy and the service in one pod${skipped}`, () => {
  let namespace: Namespace;

  afterAll(async () => {
    await namespace?.remove();
  });

  test('connect over a unix socket', async () => {
    namespace = await createNamespace(`approov-sidecar-${SUFFIX}`);
    await namespace.put('secret', 'approov', { current: SECRET });
    await putEnvoy(namespace, JSON.stringify(overUnixSocket(parse(readFileSync(ENVOY_CONFIG, 'utf8')))));
    await namespace.kubectl('apply', '--filename', join(sampleFolder('kubernetes'), 'try/upstream.yaml'));
    await namespace.install(
      { replicas: 1, minReadySeconds: 0, config: { policies: { default: { mode: 'enforce' } } } },
      '--values',
      valuesFile('sidecar-values.yaml'),
    );
    await namespace.kubectl('rollout', 'status', 'deployment/upstream', '--timeout=120s');
    const envoy = await namespace.forward('approov-ext-authz', 10_000);
    await becomes(envoy, 200, SECRET_BYTES);
    expect((await ask(envoy)).status).toBe(401);
    expect((await ask(envoy, OTHER_SECRET_BYTES)).status).toBe(401);
    const cli = ['exec', 'deploy/approov-ext-authz', '-c', 'approov-ext-authz', '--', 'node', 'dist/cli.js'];
    await namespace.kubectl(...cli, 'healthcheck');
  });
});

describe.skipIf(skipped !== '')(`gRPC over TLS with client certificates${skipped}`, () => {
  let namespace: Namespace;

  afterAll(async () => {
    await namespace?.remove();
  });

  test('serves Envoy and its probes, and loads a renewed certificate without a restart', async () => {
    namespace = await createNamespace(`approov-tls-${SUFFIX}`);
    const host = `approov-ext-authz.${namespace.name}.svc.cluster.local`;
    const { ca, server, client } = await createCertificates(host);
    await namespace.put('secret', 'approov', { current: SECRET });
    await namespace.put('secret', 'approov-ext-authz-tls', tlsSecret(server, ca));
    const sample: EnvoyConfig = parse(readFileSync(ENVOY_CONFIG, 'utf8'));
    await putEnvoy(namespace, JSON.stringify(overTls(sample, host, ca, client)));
    const enforce = { policies: { default: { mode: 'enforce' } } };
    const tls = { enabled: true, clientCaKey: 'ca.crt' };
    await namespace.install({ replicas: 1, minReadySeconds: 0, config: enforce, tls });
    await namespace.kubectl('apply', '--kustomize', join(sampleFolder('kubernetes'), 'try'));
    await namespace.kubectl('rollout', 'status', 'deployment/envoy', 'deployment/upstream', '--timeout=120s');
    const envoy = await namespace.forward('envoy', 10_000);
    await becomes(envoy, 200, SECRET_BYTES);
    expect((await ask(envoy)).status).toBe(401);
    const cli = ['exec', 'deploy/approov-ext-authz', '--', 'node', 'dist/cli.js'];
    await namespace.kubectl(...cli, 'healthcheck');

    const before = await namespace.pods(AUTHZ);
    const renewed = await createCertificates(host);
    await namespace.put('secret', 'approov-ext-authz-tls', tlsSecret(renewed.server, renewed.ca));
    await eventually('the renewed certificate', async () => {
      const log = await namespace.kubectl('logs', 'deploy/approov-ext-authz');
      return /"source":"tls","msg":"reloaded"/.test(log) ? true : undefined;
    });
    expect(await namespace.pods(AUTHZ)).toEqual(before);
    await namespace.kubectl(...cli, 'healthcheck');
  });
});

/** The code block of the install page that begins with this text. */
function fromPage(start: string): string {
  const blocks = [...PAGE.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml = '']) => yaml);
  const block = blocks.find((yaml) => yaml.startsWith(start));
  if (block === undefined) throw new Error(`the page has no block that begins with ${start}`);
  return block;
}

/** envoy.yaml with the service on the unix socket of the chart's sidecar values. */
function overUnixSocket(config: EnvoyConfig): EnvoyConfig {
  return withAuthzCluster(config, parse(fromPage('type: STATIC')));
}

/** envoy.yaml with the service behind mutual TLS. */
function overTls(config: EnvoyConfig, host: string, ca: string, client: KeyPair): EnvoyConfig {
  const files: Readonly<Record<string, string>> = {
    'ca.crt': ca,
    'tls.crt': client.cert,
    'tls.key': client.key,
  };
  const block = fromPage('transport_socket:')
    .replaceAll('approov-ext-authz.approov.svc.cluster.local', host)
    .replaceAll(/\{ filename: \/etc\/envoy\/tls\/(\S+) \}/g, (_, name: string) =>
      JSON.stringify({ inline_string: files[name] }),
    );
  return withAuthzCluster(config, parse(block));
}

function withAuthzCluster(config: EnvoyConfig, change: Readonly<Record<string, unknown>>): EnvoyConfig {
  const clusters = config.static_resources.clusters.map((cluster) =>
    cluster.name === 'approov_authz' ? { ...cluster, ...change } : cluster,
  );
  return { ...config, static_resources: { ...config.static_resources, clusters } };
}

function tlsSecret({ cert, key }: KeyPair, ca: string): Readonly<Record<string, string>> {
  return { 'tls.crt': cert, 'tls.key': key, 'ca.crt': ca };
}

interface EnvoyConfig {
  readonly static_resources: { readonly clusters: readonly { readonly name: string }[] };
}
