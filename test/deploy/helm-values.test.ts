/** The chart's values that fit it to a cluster: who may call, which user runs it, what else is mounted, and where it listens. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../../src/config/parse.ts';
import { configOf, refusal, render, renderNotes, valuesFile } from '../support/chart.ts';
import { HELM, unmet } from '../support/requirement.ts';
import { readSample } from '../support/sample-files.ts';

const skipped = await unmet([HELM], 'that the chart fits a cluster by its values');

const SAME_NAMESPACE = [{ podSelector: {} }];
const GRPC = [{ port: 'grpc', protocol: 'TCP' }];
const ADMIN = [{ port: 'admin', protocol: 'TCP' }];

function inNamespace(name: string) {
  return { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } } };
}

/** Values as a person writes them: in YAML, which Helm reads by the rules of YAML 1.1. */
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
  test('admits to gRPC the pods of its own namespace, and nobody else who is not named', async () => {
    expect(await ingressOf()).toEqual([
      { ports: GRPC, from: SAME_NAMESPACE },
      { ports: ADMIN, from: [inNamespace('monitoring')] },
    ]);
  });

  test('admits the named callers alone', async () => {
    expect(await ingressOf({ networkPolicy: { callers: [inNamespace('gateways')] } })).toEqual([
      { ports: GRPC, from: [inNamespace('gateways')] },
      { ports: ADMIN, from: [inNamespace('monitoring')] },
    ]);
  });

  test('admits nobody where the callers are an empty list, which Kubernetes would read as everybody', async () => {
    expect(await ingressOf({ networkPolicy: { callers: [] }, monitoring: { namespace: '' } })).toEqual([]);
    expect(await ingressOf(valuesFile('sidecar-values.yaml'), { networkPolicy: { callers: [] } })).toEqual([
      { ports: ADMIN, from: [inNamespace('monitoring')] },
    ]);
  });

  test('admits to Envoy’s ports of a sidecar the named callers alone', async () => {
    const callers = [{ ipBlock: { cidr: '0.0.0.0/0' } }, { ipBlock: { cidr: '::/0' } }];
    expect(await ingressOf(valuesFile('sidecar-values.yaml'), { networkPolicy: { callers } })).toEqual([
      { ports: [{ port: 10_000, protocol: 'TCP' }], from: callers },
      { ports: ADMIN, from: [inNamespace('monitoring')] },
    ]);
  });

  test('admits to the admin page the namespace that the monitoring values name, and further peers', async () => {
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
      expect(notes).toContain('Policy "open" does not enforce (mode off)');
      expect(notes).toContain('Policy "default" does not enforce (mode observe)');
      expect(notes).not.toContain('Policy "strict"');
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
      says: 'config.routes[1].policy: "limitd" names no policy; there are: default, limited',
    },
    {
      config: { defaultPolicy: 'strict' },
      says: 'config.defaultPolicy: "strict" names no policy; there are: default, limited',
    },
  ])('must have the one that is named: $says', async ({ config, says }) => {
    expect(await refusal({ config: { policies: { limited: { mode: 'limit' } }, ...config } })).toContain(
      says,
    );
  });

  test('may leave the default one to the service, which has it anyway', async () => {
    const routes = [{ host: 'api.example.com', policy: 'default' }];
    const config = configOf(await render({ config: { policies: { default: null }, routes } }));
    expect(parse(config).policies).toEqual({});
    expect(parseConfig(config, {}).problems).toEqual([]);
  });
});
