/** Validates every object of the chart and of the kustomize folders with a real API server: schemas, enums, CEL rules. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { render, VALUES_FILES, valuesFile } from '../support/chart.ts';
import { KUBERNETES_API, type KubernetesApi, startKubernetesApi } from '../support/kubernetes-api.ts';
import { runToolOrThrow } from '../support/platform-tool.ts';
import { HELM, unmet } from '../support/requirement.ts';
import { parseObjects, type SampleObject, sampleFolder } from '../support/sample-files.ts';

const NAMESPACE = 'approov';
/** The Go modules with the CRDs of the operators whose objects the chart can render. */
const OPERATOR_CRDS = [
  {
    module: 'github.com/prometheus-operator/prometheus-operator@v0.85.0',
    folder: 'example/prometheus-operator-crd',
    files: [
      'monitoring.coreos.com_podmonitors.yaml',
      'monitoring.coreos.com_prometheusrules.yaml',
      'monitoring.coreos.com_servicemonitors.yaml',
    ],
  },
  {
    module: 'github.com/cert-manager/cert-manager@v1.18.2',
    folder: 'deploy/crds',
    files: ['crd-certificates.yaml'],
  },
  {
    module: 'github.com/external-secrets/external-secrets@v0.18.2',
    folder: 'config/crds/bases',
    files: ['external-secrets.io_externalsecrets.yaml'],
  },
];

const skipped = await unmet(
  [...KUBERNETES_API, HELM],
  'that an API server takes every object of the chart and of deploy/kubernetes',
);

describe.skipIf(skipped !== '')(`a Kubernetes API server${skipped}`, () => {
  let api: KubernetesApi;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'manifests-'));
    // The API server starts with one set of CRDs.
    api = await startKubernetesApi(['gateway-api'], [NAMESPACE]);
    const crds = await operatorCrds();
    expect(crds).toHaveLength(5);
    await api.apply(crds, '--server-side');
    const names = crds.map((crd) => `crd/${crd.metadata?.name}`);
    expect(await api.kubectl('wait', '--for=condition=Established', '--timeout=60s', ...names)).toMatchObject(
      {
        code: 0,
      },
    );
  });

  afterAll(async () => {
    await api?.stop();
    rmSync(folder, { recursive: true });
  });

  async function dryRun(objects: readonly SampleObject[]): Promise<{ code: number; output: string }> {
    const file = join(folder, 'objects.json');
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
    const options = ['--dry-run=server', '--validate=strict', '--namespace', NAMESPACE, '--filename', file];
    return api.kubectl('apply', ...options);
  }

  test.each([
    { name: 'its defaults', files: [] },
    ...VALUES_FILES.map((file) => ({ name: file, files: [valuesFile(file)] })),
  ])('takes what the chart makes of $name', async ({ files }) => {
    const objects = [...(await render(...files)).values()];
    const { code, output } = await dryRun(objects);
    expect(output.match(/ created \(server dry run\)/g), output).toHaveLength(objects.length);
    expect(code).toBe(0);
  });

  test.each(['kubernetes', 'kubernetes/try'])('accepts the objects of deploy/%s', async (name) => {
    const text = await runToolOrThrow('kubectl', ['kustomize', sampleFolder(name)]);
    const objects = parseObjects(text, name);
    const { code, output } = await dryRun(objects);
    expect(output.match(/ created \(server dry run\)/g), output).toHaveLength(objects.length);
    expect(code).toBe(0);
  });

  test('rejects an unknown field in an object of Kubernetes and of an operator', async () => {
    const objects = await render(valuesFile('monitoring-values.yaml'));
    const [deployment, monitor] = [objects.get('Deployment'), objects.get('PodMonitor')];
    const misspelt = (object: SampleObject | undefined) => [
      { ...object, spec: { ...object?.['spec'], misspelt: 1 } } as SampleObject,
    ];
    for (const object of [deployment, monitor]) {
      const { code, output } = await dryRun(misspelt(object));
      expect(output).toMatch(/unknown field "(spec\.)?misspelt"/);
      expect(code).toBe(1);
    }
  });

  test('supports install, upgrade, rollback and uninstall with helm', async () => {
    const helm = (...args: string[]) =>
      runToolOrThrow('helm', [...args, '--kubeconfig', api.kubeconfig, '--namespace', NAMESPACE]);
    const chart = sampleFolder('helm/approov-ext-authz');
    await helm('install', 'approov-ext-authz', chart);
    await helm('upgrade', 'approov-ext-authz', chart, '--values', valuesFile('large-values.yaml'));
    await helm('upgrade', 'approov-ext-authz', chart, '--values', valuesFile('sidecar-values.yaml'));
    await helm('rollback', 'approov-ext-authz', '1');
    const { output } = await api.kubectl('get', 'deployment', '-n', NAMESPACE, '-o', 'name');
    expect(output.trim()).toBe('deployment.apps/approov-ext-authz');
    await helm('uninstall', 'approov-ext-authz');
    expect((await api.kubectl('get', 'deployment', '-n', NAMESPACE, '-o', 'name')).output).toBe('');
  });
});

/** Without labels and annotations, which are templates in some projects. */
async function operatorCrds(): Promise<SampleObject[]> {
  const crds: SampleObject[] = [];
  for (const { module, folder, files } of OPERATOR_CRDS) {
    // In another folder, since go would read the go.mod of this one.
    const answer = await runToolOrThrow('go', ['-C', tmpdir(), 'mod', 'download', '-json', module]);
    const { Dir: source } = JSON.parse(answer) as { Dir: string };
    for (const file of files) {
      expect(readdirSync(join(source, folder))).toContain(file);
      const crd = parse(readFileSync(join(source, folder, file), 'utf8')) as SampleObject;
      crds.push({ ...crd, metadata: { name: crd.metadata?.name ?? '' } });
    }
  }
  return crds;
}
