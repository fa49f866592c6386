/** Tests the chart values that adapt it to a cluster: callers, user, volumes, labels and listeners. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { VALUES_FILE } from '../../scripts/chart-readme.mjs';
import { parseConfig } from '../../src/config/parse.ts';
import {
  configOf,
  containerOf,
  podOf,
  refusal,
  render,
  renderNotes,
  renderText,
  valuesFile,
} from '../support/chart.ts';
import { HELM, unmet } from '../support/requirement.ts';
import { readSample } from '../support/sample-files.ts';

const PAGE = readFileSync(new URL('../../docs/install/kubernetes.md', import.meta.url), 'utf8');
const VALUE_NAMES = Object.keys(parse(readFileSync(VALUES_FILE, 'utf8')));

const skipped = await unmet([HELM], 'that the chart fits a cluster by its values');

const SAME_NAMESPACE = [{ podSelector: {} }];
const GRPC = [{ port: 'grpc', protocol: 'TCP' }];
const ADMIN = [{ port: 'admin', protocol: 'TCP' }];

function inNamespace(name: string) {
  return { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } } };
}

/** Values as written in a file, which Helm parses as YAML 1.1. */
async function withYaml<T>(text: string, use: (file: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'chart-yaml-'));
  const file = join(folder, 'values.yaml');
  try {
    writeFileSync(file, text);
    return await use(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function ingressOf(...values: (string | Record<string, unknown>)[]): Promise<unknown> {
  return (await render(...values)).get('NetworkPolicy')?.['spec'].ingress;
}

describe.skipIf(skipped !== '')(`the NetworkPolicy of the chart${skipped}`, () => {
  test('allows gRPC from pods of its own namespace and from named callers only', async () => {
    expect(await ingressOf()).toEqual([
      { ports: GRPC, from: SAME_NAMESPACE },
      { ports: ADMIN, from: [inNamespace('monitoring')] },
    ]);
  });

  test('allows only the named callers', async () => {
    expect(await ingressOf({ networkPolicy: { callers: [inNamespace('gateways')] } })).toEqual([
      { ports: GRPC, from: [inNamespace('gateways')] },
      { ports: ADMIN, from: [inNamespace('monitoring')] },
    ]);
  });

  test('allows no caller when the list is empty, which Kubernetes itself would read as everyone', async () => {
    expect(await ingressOf({ networkPolicy: { callers: [] }, monitoring: { namespace: '' } })).toEqual([]);
    expect(await ingressOf(valuesFile('sidecar-values.yaml'), { networkPolicy: { callers: [] } })).toEqual([
      { ports: ADMIN, from: [inNamespace('monitoring')] },
    ]);
  });

  test('allows only the named callers to reach the Envoy ports of a sidecar', async () => {
    const callers = [{ ipBlock: { cidr: '0.0.0.0/0' } }, { ipBlock: { cidr: '::/0' } }];
    expect(await ingressOf(valuesFile('sidecar-values.yaml'), { networkPolicy: { callers } })).toEqual([
      { ports: [{ port: 10_000, protocol: 'TCP' }], from: callers },
      { ports: ADMIN, from: [inNamespace('monitoring')] },
    ]);
  });

  test('allows the admin page from the namespace in the monitoring values and from further peers', async () => {
    const prometheus = { ipBlock: { cidr: '10.1.2.3/32' } };
    const admin = async (values: Record<string, unknown>) => {
      const rules = (await ingressOf(values)) as { ports: unknown; from: unknown }[];
      return rules.filter(({ ports }) => JSON.stringify(ports) === JSON.stringify(ADMIN));
    };
    expect(await admin({ monitoring: { namespace: 'observability' } })).toEqual([
      { ports: ADMIN, from: [inNamespace('observability')] },
    ]);
    expect(await admin({ networkPolicy: { monitoring: [prometheus] } })).toEqual([
      { ports: ADMIN, from: [inNamespace('monitoring'), prometheus] },
    ]);
    expect(
      await admin({ monitoring: { namespace: '' }, networkPolicy: { monitoring: [prometheus] } }),
    ).toEqual([{ ports: ADMIN, from: [prometheus] }]);
    expect(await admin({ monitoring: { namespace: '' } })).toEqual([]);
  });

  test.each([
    { folder: 'istio', namespace: 'istio-ingress' },
    { folder: 'envoy-gateway', namespace: 'envoy-gateway-system' },
  ])('admits the gateways of deploy/$folder by its values', async ({ folder, namespace }) => {
    const [values] = readSample(folder, 'approov-values.yaml');
    const [grpc] = (await ingressOf(values as Record<string, unknown>)) as unknown[];
    expect(grpc).toEqual({ ports: GRPC, from: [inNamespace(namespace)] });
  });
});

describe.skipIf(skipped !== '')(`the policies in the chart's values${skipped}`, () => {
  test('may switch parts of message signatures off without quotes', async () => {
    const section = '{account: off, contentDigest: off, replay: off}';
    await withYaml(`config: {policies: {default: {messageSignature: ${section}}}}`, async (file) => {
      const config = configOf(await render(file));
      const off = { account: 'off', contentDigest: 'off', replay: 'off' };
      expect(parse(config).policies.default.messageSignature).toEqual(off);
      expect(parseConfig(config, {}).problems).toEqual([]);
    });
  });

  test('may be off without quotes, which YAML 1.1 reads as false', async () => {
    await withYaml('config: {policies: {open: {mode: off}, strict: {mode: enforce}}}', async (file) => {
      const config = configOf(await render(file));
      expect(parse(config).policies).toEqual({
        default: { mode: 'observe' },
        open: { mode: 'off' },
        strict: { mode: 'enforce' },
      });
      expect(parseConfig(config, {}).problems).toEqual([]);
      const notes = await renderNotes(file);
      expect(notes).toContain('Policy "open" is in mode off');
      expect(notes).toContain('Policy "default" is in mode observe');
      expect(notes).not.toContain('Policy "strict"');
    });
  });

  test('are named in the notes if they enforce a share of devices', async () => {
    const shares = 'a: {mode: enforce, enforcePercent: 12.5}, b: {mode: enforce, enforcePercent: 0}';
    await withYaml(`config: {policies: {${shares}, c: {enforcePercent: 100}}}`, async (file) => {
      const notes = await renderNotes(file);
      expect(notes).toContain('Policy "a" enforces for 12.5 % of devices');
      expect(notes).toContain('Policy "b" enforces for 0 % of devices');
      expect(notes).not.toContain('Policy "c"');
    });
  });

  test.each(['on', 'yes', 'true'])('may not have the mode %s', async (mode) => {
    await withYaml(`config: {policies: {open: {mode: ${mode}}}}`, async (file) => {
      expect(await refusal(file)).toContain("'/config/policies/open/mode'");
    });
  });

  test.each([
    {
      config: { routes: [{ policy: 'default' }, { pathPrefix: '/search', policy: 'limitd' }] },
      says: 'config.routes[1].policy: "limitd": unknown policy; known: default, limited',
    },
    {
      config: { defaultPolicy: 'strict' },
      says: 'config.defaultPolicy: "strict": unknown policy; known: default, limited',
    },
  ])('must have the one that is named: $says', async ({ config, says }) => {
    expect(await refusal({ config: { policies: { limited: { mode: 'limit' } }, ...config } })).toContain(
      says,
    );
  });

  test('may omit the default policy, which the service has anyway', async () => {
    const routes = [{ host: 'api.example.com', policy: 'default' }];
    const config = configOf(await render({ config: { policies: { default: null }, routes } }));
    expect(parse(config).policies).toEqual({});
    expect(parseConfig(config, {}).problems).toEqual([]);
  });
});

describe.skipIf(skipped !== '')(`the pods of the chart${skipped}`, () => {
  test('run as the user of the image by default', async () => {
    expect(podOf(await render()).securityContext).toEqual({
      runAsNonRoot: true,
      runAsUser: 65532,
      runAsGroup: 65532,
      fsGroup: 65532,
      seccompProfile: { type: 'RuntimeDefault' },
    });
  });

  test('leave user and groups to the cluster when they are null, as OpenShift requires', async () => {
    const objects = await render(valuesFile('openshift-values.yaml'));
    expect(podOf(objects).securityContext).toEqual({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(containerOf(objects).securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });

  test('accept further security context settings besides those of the chart', async () => {
    const objects = await render({
      podSecurityContext: { runAsUser: 1001, fsGroupChangePolicy: 'OnRootMismatch' },
      securityContext: { seLinuxOptions: { level: 's0:c1,c2' } },
    });
    expect(podOf(objects).securityContext).toEqual({
      runAsNonRoot: true,
      runAsUser: 1001,
      runAsGroup: 65532,
      fsGroup: 65532,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(containerOf(objects).securityContext).toMatchObject({
      readOnlyRootFilesystem: true,
      seLinuxOptions: { level: 's0:c1,c2' },
    });
  });

  test('mount extra volumes', async () => {
    const volume = { name: 'jwks', configMap: { name: 'approov-jwks' } };
    const mount = { name: 'jwks', mountPath: '/etc/approov-jwks', readOnly: true };
    const objects = await render({ extraVolumes: [volume], extraVolumeMounts: [mount] });
    expect(podOf(objects).volumes).toContainEqual(volume);
    expect(containerOf(objects).volumeMounts).toContainEqual(mount);
  });

  test('get environment variables by value, and from Secrets and ConfigMaps', async () => {
    const valueFrom = { secretKeyRef: { name: 'proxy', key: 'url' } };
    const objects = await render({ env: { HTTPS_PROXY: { valueFrom }, LOG_LEVEL: 'warn' } });
    expect(containerOf(objects).env).toEqual([
      { name: 'APPROOV_CONFIG', value: '/etc/approov/config.yaml' },
      { name: 'HTTPS_PROXY', valueFrom },
      { name: 'LOG_LEVEL', value: 'warn' },
    ]);
  });

  test('mount several Secrets in one folder', async () => {
    const next = { name: 'approov-next', items: [{ key: 'secret', path: 'next' }] };
    const objects = await render({ secret: { extra: [next] } });
    const volume = podOf(objects).volumes.find(({ name }: { name: string }) => name === 'secret');
    expect(volume).toEqual({
      name: 'secret',
      projected: { defaultMode: 0o440, sources: [{ secret: { name: 'approov' } }, { secret: next }] },
    });
  });

  test('have the common labels and their own, neither of which is in the selector', async () => {
    const objects = await render(valuesFile('monitoring-values.yaml'), {
      commonLabels: { team: 'edge', tier: 'front' },
      podLabels: { tier: 'authz' },
    });
    for (const { kind, metadata } of objects.values()) {
      expect(metadata?.labels, kind).toMatchObject({
        'app.kubernetes.io/name': 'approov-ext-authz',
        team: 'edge',
        tier: 'front',
      });
    }
    const deployment = objects.get('Deployment')?.['spec'];
    expect(deployment.template.metadata.labels).toEqual({
      'app.kubernetes.io/name': 'approov-ext-authz',
      'app.kubernetes.io/instance': 'approov-ext-authz',
      'app.kubernetes.io/version': expect.any(String),
      team: 'edge',
      tier: 'authz',
    });
    expect(deployment.selector.matchLabels).toEqual({
      'app.kubernetes.io/name': 'approov-ext-authz',
      'app.kubernetes.io/instance': 'approov-ext-authz',
    });
  });

  test('have no service links, which would look like settings', async () => {
    expect(podOf(await render()).enableServiceLinks).toBe(false);
  });
});

describe.skipIf(skipped !== '')(`the listeners of the chart${skipped}`, () => {
  test('listen on IPv6, and on IPv4 as well, when the values say so', async () => {
    const objects = await render({
      listen: { host: '[::]' },
      service: { ipFamilyPolicy: 'PreferDualStack', ipFamilies: ['IPv6', 'IPv4'] },
    });
    expect(parse(configOf(objects)).listen).toEqual({ admin: '[::]:9002', grpc: '[::]:9001' });
    expect(parseConfig(configOf(objects), {}).problems).toEqual([]);
    expect(objects.get('Service')?.['spec']).toMatchObject({
      clusterIP: 'None',
      ipFamilyPolicy: 'PreferDualStack',
      ipFamilies: ['IPv6', 'IPv4'],
    });
    const service = (await render()).get('Service')?.['spec'];
    expect(service).not.toHaveProperty('ipFamilyPolicy');
    expect(service).not.toHaveProperty('ipFamilies');
  });

  test('restart the pods when their address changes, as a running process keeps its listeners', async () => {
    const annotations = async (host: string) =>
      (await render({ listen: { host } })).get('Deployment')?.['spec'].template.metadata.annotations;
    expect(await annotations('[::]')).not.toEqual(await annotations('0.0.0.0'));
  });

  test('use the transport of the values, and a change restarts the pods', async () => {
    const objects = await render({ listen: { transport: 'lean' } });
    expect(parse(configOf(objects)).listen.transport).toBe('lean');
    const annotationsOf = (of: typeof objects) =>
      of.get('Deployment')?.['spec'].template.metadata.annotations;
    expect(annotationsOf(objects)).not.toEqual(annotationsOf(await render({})));
  });

  test('of the admin page use IPv6 next to a sidecar as well', async () => {
    const objects = await render(valuesFile('sidecar-values.yaml'), { listen: { host: '[::]' } });
    expect(parse(configOf(objects)).listen).toEqual({
      admin: '[::]:9002',
      grpc: 'unix:/run/approov/authz.sock',
    });
  });
});

describe.skipIf(skipped !== '')(`the monitors of the chart${skipped}`, () => {
  test.each([
    { scrape: 'PodMonitor', field: 'podMetricsEndpoints' },
    { scrape: 'ServiceMonitor', field: 'endpoints' },
  ])('relabel what a $scrape scrapes', async ({ scrape, field }) => {
    const relabelings = [{ targetLabel: 'cluster', replacement: 'eu-1' }];
    const metricRelabelings = [{ action: 'drop', sourceLabels: ['__name__'], regex: 'nodejs_.*' }];
    const objects = await render({ monitoring: { scrape, relabelings, metricRelabelings } });
    expect(objects.get(scrape)?.['spec'][field]).toEqual([
      { port: 'admin', path: '/metrics', interval: '30s', relabelings, metricRelabelings },
    ]);
    const plain = (await render({ monitoring: { scrape } })).get(scrape)?.['spec'][field];
    expect(plain).toEqual([{ port: 'admin', path: '/metrics', interval: '30s' }]);
  });
});

describe.skipIf(skipped !== '')(`the values on the install page${skipped}`, () => {
  const blocks = [...PAGE.matchAll(/```yaml\n(.*?)```/gs)]
    .map(([, yaml = '']) => parse(yaml) as Record<string, unknown>)
    .filter((values) => Object.keys(values).every((name) => VALUE_NAMES.includes(name)));

  test('are those of the walk, and of each section', () => {
    const names = new Set(blocks.flatMap((values) => Object.keys(values)));
    expect([...names]).toEqual(
      expect.arrayContaining([
        'config',
        'networkPolicy',
        'monitoring',
        'podSecurityContext',
        'listen',
        'secret',
      ]),
    );
  });

  test.each(blocks)('are accepted by the chart: %j', async (values) => {
    expect(parseConfig(configOf(await render(values)), {}).problems).toEqual([]);
  });
});

describe.skipIf(skipped !== '')(`values that do not fit a cluster${skipped}`, () => {
  test.each([
    { values: { listen: { host: '127.0.0.1' } }, says: '/listen/host' },
    { values: { service: { ipFamilyPolicy: 'Dual' } }, says: '/service/ipFamilyPolicy' },
    { values: { service: { ipFamilies: ['IPv5'] } }, says: '/service/ipFamilies/0' },
    { values: { service: { ipFamilies: ['IPv6'] } }, says: 'IPv6 needs listen.host "[::]"' },
    {
      values: { service: { ipFamilyPolicy: 'PreferDualStack' } },
      says: 'IPv6 needs listen.host "[::]"',
    },
    { values: { podSecurityContext: { runAsUsr: 1 } }, says: "'runAsUsr' not allowed" },
    { values: { securityContext: { privilegd: true } }, says: "'privilegd' not allowed" },
    { values: { securityContext: { runAsUser: '1001' } }, says: '/securityContext/runAsUser' },
    { values: { env: { A: { valueFrom: {} } } }, says: '/env/A' },
    { values: { env: { A: { valueFrom: { secretKeyRef: { name: 'x' } } } } }, says: '/env/A' },
    { values: { env: { APPROOV_CONFIG: '/x' } }, says: '/env/APPROOV_CONFIG' },
    { values: { extraVolumes: [{ configMap: { name: 'x' } }] }, says: '/extraVolumes/0' },
    { values: { extraVolumeMounts: [{ name: 'x' }] }, says: '/extraVolumeMounts/0' },
    { values: { secret: { extra: ['next'] } }, says: '/secret/extra/0' },
    {
      values: { commonLabels: { 'app.kubernetes.io/name': 'x' } },
      says: '/commonLabels/app.kubernetes.io~1name',
    },
    {
      values: { podLabels: { 'app.kubernetes.io/instance': 'x' } },
      says: '/podLabels/app.kubernetes.io~1instance',
    },
    {
      values: { monitoring: { labels: { 'helm.sh/chart': 'x' } } },
      says: '/monitoring/labels/helm.sh~1chart',
    },
    { values: { monitoring: { namespace: 'a b' } }, says: '/monitoring/namespace' },
    {
      values: { monitoring: { metricRelabelings: [{ action: 'dorp' }] } },
      says: '/monitoring/metricRelabelings/0/action',
    },
    { values: { monitoring: { relabelings: [{ target: 'x' }] } }, says: '/monitoring/relabelings/0' },
  ])('are refused: $values', async ({ values, says }) => {
    expect(await refusal(values)).toContain(says);
  });

  test('do not repeat a label that the chart sets', async () => {
    const labels = { team: 'edge' };
    const text = await renderText({
      commonLabels: labels,
      podLabels: labels,
      monitoring: { scrape: 'ServiceMonitor', labels },
    });
    for (const object of text.split(/^---$/m))
      expect(() => parse(object, { uniqueKeys: true })).not.toThrow();
  });
});
