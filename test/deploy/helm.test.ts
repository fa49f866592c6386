/** Tests the chart: the objects that it renders from values, and the values that it rejects. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { README_FILE, VALUES_FILE, withValuesTable } from '../../scripts/chart-readme.mjs';
import { chartConfigSchema, SCHEMA_FILE } from '../../scripts/chart-schema.mjs';
import { parseConfig } from '../../src/config/parse.ts';
import { FILE } from '../../src/config/schema.ts';
import {
  CHART,
  configOf,
  containerOf,
  podOf,
  refusal,
  render,
  renderText,
  VALUES_FILES,
  valuesFile,
} from '../support/chart.ts';
import { runTool, runToolOrThrow } from '../support/platform-tool.ts';
import { HELM, KUBERNETES_VALIDATE, unmet } from '../support/requirement.ts';
import { sampleFolder, toManifest } from '../support/sample-files.ts';

const PACKAGE_FILE = fileURLToPath(new URL('../../package.json', import.meta.url));
const VALUES_SCHEMA = JSON.parse(readFileSync(SCHEMA_FILE, 'utf8'));
const VALUE_SETS = [
  { name: 'its defaults', files: [] as string[] },
  ...VALUES_FILES.map((file) => ({ name: file, files: [valuesFile(file)] })),
];

const skipped = await unmet([HELM], 'that the chart renders, and refuses wrong values');

interface AlertRule {
  readonly annotations?: { runbook_url: string };
}

describe.skipIf(skipped !== '')(`the chart${skipped}`, () => {
  test.each(VALUE_SETS)('passes helm lint --strict with $name', async ({ files }) => {
    const values = files.flatMap((file) => ['--values', file]);
    const { code, output } = await runTool('helm', ['lint', '--strict', CHART, ...values]);
    expect(output).toContain('1 chart(s) linted, 0 chart(s) failed');
    expect(code).toBe(0);
  });

  test.each(VALUE_SETS)('renders a configuration that the service accepts, with $name', async ({ files }) => {
    const objects = await render(...files);
    const { problems, config } = parseConfig(configOf(objects), {});
    expect(problems).toEqual([]);
    expect(config?.keys.map(({ id }) => id)).toContain('current');
  });

  test('renders every template with at least one set of values', async () => {
    const texts = await Promise.all(VALUE_SETS.map(({ files }) => renderText(...files)));
    const sources = texts.flatMap((text) => [...text.matchAll(/^# Source: .*\/templates\/(.*)$/gm)]);
    const templates = readdirSync(`${CHART}/templates`).filter((file) => file.endsWith('.yaml'));
    expect([...new Set(sources.map(([, file]) => file))].sort()).toEqual(templates.sort());
  });

  test('excludes the values files of the tests from its package', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'chart-package-'));
    try {
      await runToolOrThrow('helm', ['package', CHART, '--destination', folder]);
      const [archive = ''] = readdirSync(folder);
      const packed = await runToolOrThrow('tar', ['--list', '--file', join(folder, archive)]);
      expect(packed).toContain('approov-ext-authz/values.yaml\n');
      expect(packed).not.toContain('/ci/');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('listens for probes and Prometheus beyond loopback, and on the port of its Service', async () => {
    const objects = await render();
    expect(parse(configOf(objects)).listen).toEqual({ admin: '0.0.0.0:9002', grpc: '0.0.0.0:9001' });
    expect(containerOf(objects).ports).toEqual([
      { name: 'grpc', containerPort: 9001 },
      { name: 'admin', containerPort: 9002 },
    ]);
    expect(objects.get('Service')?.['spec']).toMatchObject({
      clusterIP: 'None',
      ports: [{ name: 'grpc', appProtocol: 'grpc', port: 9001, targetPort: 'grpc' }],
    });
  });

  test('observes by default', async () => {
    expect(parse(configOf(await render())).policies).toEqual({ default: { mode: 'observe' } });
  });

  test.each([
    { drain: { delaySeconds: 5, timeoutSeconds: 20 }, preStopSeconds: 0, grace: 30 },
    { drain: { delaySeconds: 0.5, timeoutSeconds: 1.2 }, preStopSeconds: 0, grace: 8 },
    { drain: { delaySeconds: 10, timeoutSeconds: 60 }, preStopSeconds: 7, grace: 82 },
  ])('gives the pod $grace s for its end', async ({ drain, preStopSeconds, grace }) => {
    const objects = await render({ config: { drain }, preStopSeconds });
    expect(podOf(objects).terminationGracePeriodSeconds).toBe(grace);
    expect(containerOf(objects).lifecycle).toEqual(
      preStopSeconds === 0 ? undefined : { preStop: { sleep: { seconds: preStopSeconds } } },
    );
    expect(parse(configOf(objects)).drain).toEqual(drain);
  });

  test('probes gRPC health for readiness, or the admin page when a gRPC probe cannot reach the service', async () => {
    const readiness = async (values: Record<string, unknown> | string) =>
      containerOf(await render(values)).readinessProbe;
    expect(await readiness({})).toMatchObject({
      grpc: { port: 9001, service: 'envoy.service.auth.v3.Authorization' },
    });
    const page = { httpGet: { path: '/readyz', port: 'admin' } };
    expect(await readiness(valuesFile('sidecar-values.yaml'))).toMatchObject(page);
    expect(await readiness({ tls: { enabled: true } })).toMatchObject(page);
    expect(await readiness({ tls: { enabled: true } })).not.toHaveProperty('grpc');
  });

  test.each(VALUE_SETS)('runs every container with minimal privileges, with $name', async ({ files }) => {
    const pod = podOf(await render(...files));
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    });
    for (const container of pod.containers) {
      expect(container.securityContext, container.name).toMatchObject({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    }
  });

  test.each(VALUE_SETS)(
    'mounts folders, not single files, so that Kubernetes updates them, with $name',
    async ({ files }) => {
      const pod = podOf(await render(...files));
      const volumes: string[] = pod.volumes.map(({ name }: { name: string }) => name);
      for (const { volumeMounts } of pod.containers) {
        for (const mount of volumeMounts) {
          expect(mount).not.toHaveProperty('subPath');
          expect(volumes).toContain(mount.name);
        }
      }
      const secret = pod.volumes.find(({ name }: { name: string }) => name === 'secret');
      expect(secret.projected.defaultMode).toBe(0o440);
      expect(secret.projected.sources[0]).toEqual({ secret: { name: 'approov' } });
    },
  );

  test('denies all egress by default', async () => {
    expect((await render()).get('NetworkPolicy')?.['spec']).toMatchObject({
      policyTypes: ['Ingress', 'Egress'],
      egress: [],
    });
  });

  test('allows egress to fetch keys when the configuration has a URL', async () => {
    const keys = [{ id: 'keyset', jwksUrl: 'https://keys.example.com/jwks.json' }];
    const policy = (await render({ config: { keys } })).get('NetworkPolicy')?.['spec'];
    const port = (number: number, protocol: string) => ({ port: number, protocol });
    expect(policy.egress).toEqual([{ ports: [port(53, 'UDP'), port(53, 'TCP'), port(443, 'TCP')] }]);
  });

  test.each([
    { url: 'rediss://redis.redis.svc:6380/1', port: 6380 },
    { url: 'redis://redis', port: 6379 },
    { url: 'redis://[fd00::1]', port: 6379 },
  ])('allows egress to the replay store $url, at its port', async ({ url, port }) => {
    const policy = (await render({ config: { replayStore: { url } } })).get('NetworkPolicy')?.['spec'];
    const ports = [
      { port: 53, protocol: 'UDP' },
      { port: 53, protocol: 'TCP' },
      { port, protocol: 'TCP' },
    ];
    expect(policy.egress).toEqual([{ ports }]);
  });

  test('mounts the account key and what the replay store needs next to the secret', async () => {
    const objects = await render(valuesFile('signatures-values.yaml'));
    const { config } = parseConfig(configOf(objects), {});
    expect(config?.messageSigningKeys.map(({ id, mskid }) => [id, mskid])).toEqual([['account', 'j3AWy6']]);
    const { sources } = podOf(objects).volumes.find(
      ({ name }: { name: string }) => name === 'secret',
    ).projected;
    const [, account, redis] = sources.map(({ secret }: { secret: object }) => secret);
    expect(account).toEqual({ name: 'approov-account' });
    const files = redis.items.map(({ path }: { path: string }) => `/run/secrets/approov/${path}`);
    const { passwordFile, caFile } = parse(configOf(objects)).replayStore;
    expect([passwordFile, caFile]).toEqual(files);
  });

  test('leaves the number of replicas to the autoscaler when there is one', async () => {
    expect((await render()).get('Deployment')?.['spec'].replicas).toBe(2);
    const scaled = await render(valuesFile('large-values.yaml'));
    expect(scaled.get('Deployment')?.['spec']).not.toHaveProperty('replicas');
    expect(scaled.get('HorizontalPodAutoscaler')?.['spec']).toMatchObject({
      scaleTargetRef: { kind: 'Deployment', name: 'approov-ext-authz' },
      minReplicas: 4,
      maxReplicas: 20,
      metrics: [{ containerResource: { name: 'cpu', container: 'approov-ext-authz' } }],
    });
  });

  test('shares a unix socket with the Envoy sidecar, and exposes that Envoy', async () => {
    const objects = await render(valuesFile('sidecar-values.yaml'));
    expect(parse(configOf(objects)).listen.grpc).toBe('unix:/run/approov/authz.sock');
    const mounts = podOf(objects).containers.map(
      ({ volumeMounts }: { volumeMounts: { name: string; mountPath: string }[] }) =>
        volumeMounts.find(({ name }) => name === 'approov-socket')?.mountPath,
    );
    expect(mounts).toEqual(['/run/approov', '/run/approov']);
    expect(containerOf(objects).ports).toEqual([{ name: 'admin', containerPort: 9002 }]);
    expect(objects.get('Service')?.['spec']).toMatchObject({
      type: 'ClusterIP',
      ports: [{ name: 'http', port: 80, targetPort: 10000 }],
    });
    expect(objects.get('NetworkPolicy')?.['spec'].policyTypes).toEqual(['Ingress']);
  });

  test('requests the Secret that it mounts from External Secrets', async () => {
    const objects = await render(valuesFile('large-values.yaml'));
    expect(objects.get('ExternalSecret')?.['spec']).toEqual({
      refreshInterval: '1m',
      secretStoreRef: { name: 'vault', kind: 'ClusterSecretStore' },
      target: { name: 'approov', creationPolicy: 'Owner' },
      data: [{ secretKey: 'current', remoteRef: { key: 'approov', property: 'secret' } }],
    });
  });

  test('restarts the pods for changes that a running process cannot reload, and for no others', async () => {
    const template = async (values: Record<string, unknown>) =>
      (await render(values)).get('Deployment')?.['spec'].template;
    const annotations = async (values: Record<string, unknown>) =>
      (await template(values)).metadata.annotations;
    const config = (fields: object) => ({ config: fields });
    const before = await template({});
    expect(await template(config({ policies: { default: { mode: 'enforce' } } }))).toEqual(before);
    for (const fields of [
      { workers: 2 },
      { connection: { maxAgeSeconds: 60 } },
      { limits: { connections: 9 } },
    ]) {
      expect(await template(config(fields))).not.toEqual(before);
    }
    expect(await annotations(config({ workers: 2 }))).not.toEqual(await annotations(config({ workers: 3 })));
    const tls = { enabled: true };
    expect(await annotations({ tls })).not.toEqual(
      await annotations({ tls: { ...tls, clientCaKey: 'ca.crt' } }),
    );
  });

  test('renders the rules of deploy/prometheus as a PrometheusRule for the job and namespace of the release', async () => {
    const rules = readFileSync(`${sampleFolder('prometheus')}/rules.yaml`, 'utf8');
    expect(readFileSync(`${CHART}/files/rules.yaml`, 'utf8')).toBe(rules);
    const objects = await render(valuesFile('monitoring-values.yaml'));
    const release = 'job="approov/approov-ext-authz", namespace="approov"';
    const { groups } = parse(rules);
    for (const { name, rules } of groups) {
      const scope = name.startsWith('approov-envoy') ? 'namespace="istio-system"' : release;
      for (const rule of rules) {
        rule.expr = rule.expr
          .replaceAll(/job=~"[^"]+"/g, scope)
          .replaceAll('.*approov.*', '.*(approov|approov-ext-authz).*');
      }
    }
    expect(objects.get('PrometheusRule')?.['spec']).toEqual({ groups });
    expect(objects.get('PrometheusRule')?.metadata?.labels).toMatchObject({ release: 'prometheus' });
    expect(objects.get('PodMonitor')?.['spec'].podMetricsEndpoints).toEqual([
      { port: 'admin', path: '/metrics', interval: '30s' },
    ]);
  });

  test('links alerts to the sections of the runbook when it has a base URL', async () => {
    const base = 'https://git.example.com/approov-ext-authz/blob/main/';
    const objects = await render({ monitoring: { rules: true, runbookBaseUrl: base } });
    const groups: { rules: AlertRule[] }[] = objects.get('PrometheusRule')?.['spec'].groups;
    const links = groups
      .flatMap(({ rules }) => rules)
      .flatMap(({ annotations }) => annotations?.runbook_url ?? []);
    expect(links.length).toBeGreaterThan(10);
    expect(links.filter((link) => !/^docs\/runbook\.md#approov[a-z]+$/.test(link.replace(base, '')))).toEqual(
      [],
    );
    expect(links.filter((link) => !link.startsWith(base))).toEqual([]);
  });

  test('has the admin port on the Service only when a ServiceMonitor scrapes it', async () => {
    const names = async (scrape: string) =>
      (await render({ monitoring: { scrape } }))
        .get('Service')
        ?.['spec'].ports.map(({ name }: { name: string }) => name);
    expect(await names('none')).toEqual(['grpc']);
    expect(await names('PodMonitor')).toEqual(['grpc']);
    expect(await names('ServiceMonitor')).toEqual(['grpc', 'admin']);
  });

  test('pins the image by its digest', async () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    expect(await renderText({ image: { digest } })).toContain(`image: approov-ext-authz@${digest}\n`);
  });

  test.each([
    { values: { replica: 3 }, says: "additional properties 'replica' not allowed" },
    { values: { image: { tga: 'x' } }, says: "additional properties 'tga' not allowed" },
    { values: { config: { polices: {} } }, says: "additional properties 'polices' not allowed" },
    { values: { config: { policies: { default: { mdoe: 'x' } } } }, says: "'mdoe' not allowed" },
    {
      values: { config: { policies: { default: { mode: 'enforced' } } } },
      says: '/config/policies/default/mode',
    },
    { values: { config: { listen: { admin: '127.0.0.1:9002' } } }, says: "'listen' not allowed" },
    { values: { config: { keys: [] } }, says: '/config/keys' },
    { values: { config: { keys: [{ id: 'Current', secretFile: '/x' }] } }, says: '/config/keys/0/id' },
    { values: { config: { drain: null } }, says: "missing property 'drain'" },
    { values: { image: { digest: 'sha256:abc' } }, says: '/image/digest' },
    { values: { env: { LOG_LEVEL: 1 } }, says: '/env/LOG_LEVEL' },
    { values: { monitoring: { scrape: 'both' } }, says: '/monitoring/scrape' },
    {
      values: { monitoring: { runbookBaseUrl: 'https://git.example.com' } },
      says: '/monitoring/runbookBaseUrl',
    },
    { values: { networkPolicy: { callers: [{ app: 'envoy' }] } }, says: '/networkPolicy/callers/0' },
    { values: { resources: { limit: {} } }, says: "'limit' not allowed" },
    { values: { externalSecret: { enabled: true } }, says: '/externalSecret/keys' },
    {
      values: { tls: { enabled: true, certManager: { enabled: true } } },
      says: '/tls/certManager/issuerRef/name',
    },
    {
      values: { tls: { certManager: { enabled: true, issuerRef: { name: 'ca' } } } },
      says: 'tls.certManager.enabled: set tls.enabled as well',
    },
    { values: { sidecar: { enabled: true } }, says: "sidecar.container must be Envoy's container" },
    {
      values: { sidecar: { enabled: true, container: { name: 'envoy' } }, tls: { enabled: true } },
      says: 'a Unix socket needs no TLS',
    },
  ])('refuses $values', async ({ values, says }) => {
    expect(await refusal(values)).toContain(says);
  });
});

/** Kinds of operators, which the API server of the platform tests validates. */
const OPERATOR_KINDS = ['Certificate', 'ExternalSecret', 'PodMonitor', 'PrometheusRule', 'ServiceMonitor'];

const unvalidated = await unmet(
  [HELM, KUBERNETES_VALIDATE],
  'that the objects of the chart fit their schemas',
);

describe.skipIf(unvalidated !== '')(`the objects of the chart${unvalidated}`, () => {
  test.each(VALUE_SETS)('match the schemas of Kubernetes 1.36, with $name', async ({ files }) => {
    const objects = [...(await render(...files)).values()];
    const { code, output } = await validate(toManifest(objects));
    expect(output).not.toContain('ERROR');
    expect(code).toBe(0);
    const passed = output.match(/ passed for resource /g) ?? [];
    const known = objects.filter(({ kind }) => !OPERATOR_KINDS.includes(kind ?? ''));
    expect(passed).toHaveLength(known.length);
  });

  test('fail validation with an unknown field', async () => {
    const deployment = (await render()).get('Deployment');
    const misspelt = { ...deployment, spec: { ...deployment?.['spec'], replcas: 2 } };
    const { code, output } = await validate(toManifest([misspelt]));
    expect(output).toContain('replcas');
    expect(code).not.toBe(0);
  });
});

describe('the files of the chart', () => {
  test('state the version of package.json', () => {
    const { version } = JSON.parse(readFileSync(PACKAGE_FILE, 'utf8'));
    expect(parse(readFileSync(`${CHART}/Chart.yaml`, 'utf8'))).toMatchObject({
      version,
      appVersion: version,
    });
  });

  test('list every value in the README, with its default and a description', () => {
    const readme = readFileSync(README_FILE, 'utf8');
    expect(readme).toBe(withValuesTable(readme, readFileSync(VALUES_FILE, 'utf8')));
    expect(readme).toContain('| `replicas` | `2` | At least 2');
    expect(readme).not.toContain('|  |');
  });

  test('describe `config` as the service documents its own file', () => {
    expect(VALUES_SCHEMA.properties.config).toEqual(chartConfigSchema(FILE));
  });

  test('reject unknown values except where Kubernetes defines the schema', () => {
    expect(openObjects(VALUES_SCHEMA, '')).toEqual([
      '.definitions.volume',
      '.properties.global',
      '.properties.sidecar.properties.container',
      '.properties.affinity',
      '.properties.extraVolumeMounts.items',
    ]);
  });
});

/** The places where a schema accepts objects with any fields. */
function openObjects(schema: unknown, path: string): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const { type, additionalProperties } = schema as { type?: unknown; additionalProperties?: unknown };
  const isOpen =
    [type].flat().includes('object') && (additionalProperties === undefined || additionalProperties === true);
  const children = Object.entries(schema).flatMap(([name, child]) => openObjects(child, `${path}.${name}`));
  return isOpen ? [path, ...children] : children;
}

async function validate(manifest: string) {
  const folder = mkdtempSync(join(tmpdir(), 'chart-objects-'));
  try {
    writeFileSync(join(folder, 'objects.yaml'), manifest);
    return await runTool('kubernetes-validate', ['--strict', '-k', '1.36', join(folder, 'objects.yaml')]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
