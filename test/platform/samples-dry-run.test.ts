/** Validates every sample of a platform with a real API server, istioctl and egctl. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { SIGNATURE_HEADERS } from '../../src/authz/message-signature.ts';
import { EGCTL } from '../support/envoy-gateway.ts';
import { ISTIOCTL } from '../support/istio.ts';
import { KUBERNETES_API, type KubernetesApi, startKubernetesApi } from '../support/kubernetes-api.ts';
import { runTool } from '../support/platform-tool.ts';
import { unmet } from '../support/requirement.ts';
import {
  isKubernetesObject,
  parseObjects,
  readSample,
  type SampleObject,
  sampleFiles,
  sampleFolder,
  toManifest,
} from '../support/sample-files.ts';

const OTHER_PAGE = fileURLToPath(new URL('../../docs/install/other.md', import.meta.url));
const SAMPLES = [
  ...['istio', 'envoy-gateway', 'gateway-api'].flatMap((folder) =>
    sampleFiles(folder).map((file) => [folder, file] as const),
  ),
  ['message-signatures', 'envoy-gateway.yaml'] as const,
  ['message-signatures', 'redis.yaml'] as const,
];
/** The samples that are not Kubernetes objects; other tests read them. */
const VALUES = ['approov-values.yaml', 'mesh-config.yaml'];
const NAMESPACES = ['istio-ingress', 'api', 'approov', 'projectcontour'];

const withoutApi = await unmet(KUBERNETES_API, 'that an API server takes every sample');
const withoutIstioctl = await unmet([ISTIOCTL], 'that istioctl finds nothing wrong with deploy/istio');
const withoutEgctl = await unmet([EGCTL], 'that Envoy Gateway accepts every object of deploy/envoy-gateway');

function objectsOf(folder: string, file: string): SampleObject[] {
  return readSample(folder, file).filter(isKubernetesObject);
}

/** A deep copy with one string of its JSON replaced. */
function altered(objects: readonly SampleObject[], text: string, by: string): SampleObject[] {
  const json = JSON.stringify(objects);
  expect(json).toContain(text);
  return JSON.parse(json.replace(text, by));
}

describe.skipIf(withoutApi !== '')(`a Kubernetes API server${withoutApi}`, () => {
  let api: KubernetesApi;

  beforeAll(async () => {
    api = await startKubernetesApi(['gateway-api', 'envoy-gateway', 'istio', 'contour'], NAMESPACES);
  });

  afterAll(async () => {
    await api?.stop();
  });

  const dryRun = (objects: readonly SampleObject[]) =>
    api.apply(objects, '--dry-run=server', '--validate=strict');

  test.each(SAMPLES.filter(([, file]) => !VALUES.includes(file)))('accepts %s/%s', async (folder, file) => {
    const objects = objectsOf(folder, file);
    const output = await dryRun(objects);
    expect(output.match(/\(server dry run\)$/gm)).toHaveLength(objects.length);
  });

  test('accepts the Contour objects of docs/install/other.md', async () => {
    const blocks = [...readFileSync(OTHER_PAGE, 'utf8').matchAll(/```yaml\n(.*?)```/gs)];
    const objects = blocks
      .flatMap(([, yaml = '']) => parseObjects(yaml, OTHER_PAGE))
      .filter(({ apiVersion }) => apiVersion?.startsWith('projectcontour.io/'));
    expect(objects.map(({ kind }) => kind)).toEqual(['ExtensionService', 'HTTPProxy']);
    await dryRun(objects);
  });

  test.each([
    ['istio', 'gateway-authorization.yaml', '"action":"CUSTOM"', '"action":"CUSTOMS"'],
    ['istio', 'gateway-authorization.yaml', '"notPaths"', '"notPathz"'],
    ['envoy-gateway', 'security-policy.yaml', '"headersToExtAuth"', '"headersToExtAuht"'],
    ['envoy-gateway', 'security-policy.yaml', '"statusOnError":503', '"statusOnError":299'],
    ['gateway-api', 'external-auth.yaml', '"protocol":"GRPC"', '"protocol":"gRPC"'],
  ])('refuses %s/%s with %s spelled wrong', async (folder, file, text, by) => {
    await expect(dryRun(altered(objectsOf(folder, file), text, by))).rejects.toThrow(
      /kubectl .* ended with 1/,
    );
  });
});

describe.skipIf(withoutIstioctl !== '')(`istioctl${withoutIstioctl}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'istioctl-'));
  const files = sampleFiles('istio').filter((file) => !VALUES.includes(file));

  afterAll(() => rmSync(folder, { recursive: true }));

  test.each(files)('validates %s', async (file) => {
    const { code, output } = await runTool('istioctl', ['validate', '-f', join(sampleFolder('istio'), file)]);
    expect(output).not.toMatch(/error/i);
    expect(code).toBe(0);
  });

  test('rejects an unknown field', async () => {
    const file = join(folder, 'typo.yaml');
    const typo = altered(objectsOf('istio', 'gateway-authorization.yaml'), '"notPaths"', '"notPathz"');
    writeFileSync(file, toManifest(typo));
    expect((await runTool('istioctl', ['validate', '-f', file])).code).toBe(1);
  });

  test('reports nothing about all samples together with the mesh configuration', async () => {
    const [values] = readSample('istio', 'mesh-config.yaml');
    const mesh = join(folder, 'mesh.yaml');
    writeFileSync(mesh, stringify(values?.['meshConfig']));
    const paths = files.map((file) => join(sampleFolder('istio'), file));
    const { code, output } = await runTool('istioctl', [
      'analyze',
      '--use-kube=false',
      '--meshConfigFile',
      mesh,
      ...paths,
    ]);
    expect(output).toContain('No validation issues found');
    expect(code).toBe(0);
  });
});

describe.skipIf(withoutEgctl !== '')(`egctl${withoutEgctl}`, () => {
  const SERVICES: readonly SampleObject[] = [
    service('api', 'api', 8080),
    service('approov', 'approov-ext-authz', 9001),
  ];
  const samples = sampleFiles('envoy-gateway').flatMap((file) => objectsOf('envoy-gateway', file));

  test('translates the samples without an unexpected status condition', async () => {
    const conditions = await translate([...samples, ...SERVICES]);
    expect(conditions.filter(({ type }) => type === 'Accepted')).not.toHaveLength(0);
    expect(conditions.filter(({ status }) => status !== 'True')).toEqual([]);
  });

  test('translates the policy for signed requests to a check of the route with the body and the headers', async () => {
    const added = objectsOf('message-signatures', 'envoy-gateway.yaml');
    const conditions = await translate([...samples, ...added, ...SERVICES]);
    expect(conditions.filter(({ status }) => status !== 'True')).toEqual([]);
    const output = await translateTo('xds', [...samples, ...added, ...SERVICES]);
    const filters = [...output.matchAll(/^( *)- disabled: true\n(?:\1 {2}.*\n)+/gm)]
      .map(([yaml]) => parse(yaml)[0].typedConfig)
      .filter(({ withRequestBody }) => withRequestBody !== undefined);
    expect(filters).toHaveLength(1);
    expect(filters[0].withRequestBody).toEqual({ maxRequestBytes: 131_072 });
    const sent = filters[0].allowedHeaders.patterns.map(({ exact }: { exact: string }) => exact);
    expect(sent).toEqual(expect.arrayContaining(['approov-token', ...SIGNATURE_HEADERS]));
  });

  test('translates both checks to 200 ms with two tries over HTTP/2', async () => {
    const output = await translateTo('xds', [...samples, ...SERVICES]);
    const services = [...output.matchAll(/^( *)grpcService:\n((?:\1 +.*\n)+)/gm)].map(([yaml]) =>
      parse(yaml),
    );
    expect(services.map(({ grpcService }) => [grpcService.timeout, grpcService.retryPolicy])).toEqual(
      ['approov', 'approov-limited'].map(() => [
        '0.200s',
        {
          numRetries: 1,
          retryOn: 'connect-failure,refused-stream,reset,unavailable',
          retryBackOff: { baseInterval: '0.005s', maxInterval: '0.100s' },
        },
      ]),
    );
    const clusters = [...output.matchAll(/^( *)- cluster:\n((?:\1 +.*\n)+)/gm)].flatMap(([yaml]) =>
      parse(yaml),
    );
    const protocols = clusters.flatMap(({ cluster }) =>
      cluster.name.startsWith('securitypolicy/')
        ? Object.keys(
            Object.values<SampleObject>(cluster.typedExtensionProtocolOptions)[0]?.['explicitHttpConfig'],
          )
        : [],
    );
    expect(protocols).toEqual(['http2ProtocolOptions', 'http2ProtocolOptions']);
    const settings = clusters.flatMap(({ cluster }) =>
      cluster.name.startsWith('securitypolicy/')
        ? [
            [
              cluster.circuitBreakers.thresholds[0].retryBudget,
              cluster.healthChecks[0].grpcHealthCheck,
              cluster.outlierDetection.maxEjectionPercent,
            ],
          ]
        : [],
    );
    expect(settings).toEqual(
      Array.from({ length: 2 }, () => [
        { budgetPercent: { value: 20 }, minRetryConcurrency: 20 },
        { serviceName: 'envoy.service.auth.v3.Authorization' },
        50,
      ]),
    );
  });

  test('rejects a SecurityPolicy whose Service is in another namespace without a ReferenceGrant', async () => {
    const conditions = await translate([
      ...samples.filter(({ kind }) => kind !== 'ReferenceGrant'),
      ...SERVICES,
    ]);
    const refused = conditions.filter(({ status }) => status === 'False');
    expect(refused.map(({ message }) => message)).toContain(
      'ExtAuth: backend ref to Service approov/approov-ext-authz not permitted by any ReferenceGrant.',
    );
  });

  test('does not support the ExternalAuth filter, as external-auth.yaml says', async () => {
    const gateway = objectsOf('envoy-gateway', 'gateway.yaml');
    const conditions = await translate([
      ...gateway,
      ...objectsOf('gateway-api', 'external-auth.yaml'),
      ...SERVICES,
    ]);
    expect(conditions.map(({ message }) => message)).toContain(
      'Invalid filter ExternalAuth: unsupported filter type ExternalAuth.',
    );
  });
});

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly message: string;
}

/** Every status condition that Envoy Gateway sets on objects. */
async function translate(objects: readonly SampleObject[]): Promise<Condition[]> {
  const found: Condition[] = [];
  const walk = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    const { conditions } = node as { conditions?: Condition[] };
    if (Array.isArray(conditions)) found.push(...conditions);
    for (const child of Object.values(node)) walk(child);
  };
  const output = await translateTo('gateway-api', objects);
  for (const document of parseAllDocuments(output)) walk(document.toJS());
  return found;
}

/** The output of egctl for objects, as YAML. */
async function translateTo(target: 'gateway-api' | 'xds', objects: readonly SampleObject[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'egctl-'));
  const file = join(folder, 'objects.yaml');
  writeFileSync(file, toManifest(objects));
  const options = ['--from', 'gateway-api', '--to', target, '-o', 'yaml', '-f', file];
  const { code, output } = await runTool('egctl', ['x', 'translate', ...options]);
  rmSync(folder, { recursive: true });
  expect(code, output).toBe(0);
  return output;
}

function service(namespace: string, name: string, port: number): SampleObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace, name },
    spec: { clusterIP: '10.96.0.9', ports: [{ name: 'port', port, protocol: 'TCP' }] },
  };
}
