/** Tests that the kustomize base, for users without Helm, has the objects of the chart's defaults. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { render } from '../support/chart.ts';
import { ENVOY_CONFIG } from '../support/envoy.ts';
import { runToolOrThrow } from '../support/platform-tool.ts';
import { HELM, KUBECTL, unmet } from '../support/requirement.ts';
import { parseObjects, readSample, type SampleObject, sampleFolder } from '../support/sample-files.ts';

const BASE = sampleFolder('kubernetes');
const PAGE = fileURLToPath(new URL('../../docs/install/kubernetes.md', import.meta.url));
/** Labels that Helm adds. */
const HELM_LABELS = ['helm.sh/chart', 'app.kubernetes.io/managed-by'];

const skipped = await unmet([HELM, KUBECTL], 'that the kustomize base equals the chart');

async function build(folder: string): Promise<ReadonlyMap<string, SampleObject>> {
  const text = await runToolOrThrow('kubectl', ['kustomize', folder]);
  return new Map(
    parseObjects(text, folder).map((object) => [`${object.kind} ${object.metadata?.name}`, object]),
  );
}

/** The overlay of the install page, with another path to the base. */
function overlayOf(base: string): string {
  const page = readFileSync(PAGE, 'utf8');
  const [, overlay = ''] = page.match(/```yaml\n(# approov\/kustomization\.yaml\n[^`]+)```/) ?? [];
  expect(overlay).toContain('- ../deploy/kubernetes\n');
  return overlay.replace('../deploy/kubernetes', base);
}

/** Without Helm's labels, and with the configuration parsed, so that formatting does not matter. */
function comparable(object: SampleObject): SampleObject {
  const labels = Object.entries(object.metadata?.labels ?? {}).filter(
    ([name]) => !HELM_LABELS.includes(name),
  );
  return {
    ...object,
    metadata: { ...object.metadata, name: object.metadata?.name ?? '', labels: Object.fromEntries(labels) },
    ...(object.kind === 'ConfigMap' ? { data: parse(object['data']['config.yaml']) } : {}),
  };
}

test('the values of the install page have every policy that envoy.yaml names, and only observe', () => {
  const page = readFileSync(PAGE, 'utf8');
  const [, values = ''] = page.match(/```yaml\n(# approov-values\.yaml\n[^`]+)```/) ?? [];
  const { policies } = parse(values).config;
  const named = readFileSync(ENVOY_CONFIG, 'utf8').matchAll(/approov_policy: ([a-z0-9-]+) /g);
  const names = Array.from(named, ([, name]) => name);
  expect(names).toEqual(['limited']);
  expect(Object.keys(policies)).toEqual(['default', ...names]);
  for (const { mode } of Object.values<{ mode: string }>(policies)) expect(mode).toBe('observe');
});

describe.skipIf(skipped !== '')(`the kustomize base${skipped}`, () => {
  test('builds the objects that the chart renders by default', async () => {
    const base = [...(await build(BASE)).values()].map(comparable);
    const chart = [...(await render()).values()].map(comparable);
    const byKind = (objects: SampleObject[]) => new Map(objects.map((object) => [object.kind, object]));
    expect([...byKind(base).keys()].sort()).toEqual([
      'ConfigMap',
      'Deployment',
      'NetworkPolicy',
      'PodDisruptionBudget',
      'Service',
      'ServiceAccount',
    ]);
    expect(byKind(base)).toEqual(byKind(chart));
  });

  test('accepts image, namespace and configuration from an overlay, as on the install page', async () => {
    const overlay = mkdtempSync(join(tmpdir(), 'overlay-'));
    try {
      writeFileSync(join(overlay, 'kustomization.yaml'), overlayOf(relative(overlay, BASE)));
      writeFileSync(join(overlay, 'config.yaml'), 'policies: {default: {mode: enforce}}');
      const objects = await build(overlay);
      const deployment = objects.get('Deployment approov-ext-authz');
      expect(deployment?.metadata?.namespace).toBe('approov');
      expect(deployment?.['spec'].template.spec.containers[0].image).toBe(
        'registry.example.com/approov-ext-authz:0.1.0',
      );
      const config = objects.get('ConfigMap approov-ext-authz');
      expect(config?.['data']).toEqual({ 'config.yaml': 'policies: {default: {mode: enforce}}' });
    } finally {
      rmSync(overlay, { recursive: true });
    }
  });

  test('includes every file of its folder', () => {
    for (const folder of [BASE, join(BASE, 'try')]) {
      const { resources, configMapGenerator = [] } = parse(
        readFileSync(join(folder, 'kustomization.yaml'), 'utf8'),
      );
      const used = [...resources, ...configMapGenerator.flatMap(({ files }: { files: string[] }) => files)];
      const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'));
      expect([...used, 'kustomization.yaml'].sort()).toEqual(files.sort());
    }
  });

  test('gives the example API the name and port that envoy.yaml calls', async () => {
    const objects = await build(join(BASE, 'try'));
    expect([...objects.keys()].sort()).toEqual([
      'Deployment envoy',
      'Deployment upstream',
      'Service upstream',
    ]);
    const [heap] = parse(readFileSync(ENVOY_CONFIG, 'utf8')).overload_manager.resource_monitors;
    const [envoy] = objects.get('Deployment envoy')?.['spec'].template.spec.containers ?? [];
    const mebibytes = Number.parseInt(envoy.resources.limits.memory, 10);
    expect(mebibytes * 2 ** 20).toBeGreaterThan(heap.typed_config.max_heap_size_bytes);
    expect(objects.get('Service upstream')?.['spec'].ports).toMatchObject([{ port: 8080 }]);
    const [service] = readSample('kubernetes', 'service.yaml');
    expect(service?.metadata?.name).toBe('approov-ext-authz');
  });
});
