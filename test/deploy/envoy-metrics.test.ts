/** Compares the rules' patterns for Envoy metrics, and the runbook's list of them, with the names that real Envoys expose. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isScalar, visit } from 'yaml';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import { EXT_AUTHZ, type Sample, send, startSample, startUpstream, type Upstream } from '../support/envoy.ts';
import { startServe } from '../support/process.ts';
import {
  documentedEnvoyNames,
  namesPicked,
  parseExposition,
  queriesOf,
  readDashboard,
  readRules,
  selectorsIn,
} from '../support/prometheus.ts';
import { freshToken, SECRET } from '../support/token.ts';

/** The names of envoy.yaml's clusters as a mesh writes them. */
const MESH_CLUSTERS: Readonly<Record<string, string>> = {
  upstream: 'outbound|8080||up.shop.svc.cluster.local',
  approov_authz: 'outbound|9001||approov-ext-authz.approov.svc.cluster.local',
};

let upstream: Upstream;
/** The metric names of an Envoy with envoy.yaml. */
let plain: string[];
/** The same with dotted cluster names, a stat prefix of the filter, and a filter that fails open. */
let dotted: string[];

beforeAll(async () => {
  upstream = await startUpstream();
  [plain, dotted] = await Promise.all([
    metricsAfterAll(() => undefined, 503),
    metricsAfterAll(likeAMesh, 200),
  ]);
});
afterAll(async () => {
  await upstream?.close();
});

/** The metrics of an Envoy after an allowed, a denied, and an unanswered check. */
async function metricsAfterAll(
  change: (sample: Sample) => void,
  statusWithoutAnswer: number,
): Promise<string[]> {
  const service = await startServe({ APPROOV_BASE64_SECRET: SECRET });
  let envoy: RunningEnvoy | undefined;
  try {
    envoy = await startSample({ services: [service.grpc], upstream: upstream.address }, change);
    const good = { headers: [['approov-token', freshToken()]] } as const;
    expect((await send(envoy, good)).status).toBe(200);
    expect((await send(envoy)).status).toBe(401);
    await service.kill();
    expect((await send(envoy, good)).status).toBe(statusWithoutAnswer);
    return [...parseExposition(await (await fetch(`http://${envoy.admin}/stats/prometheus`)).text()).keys()];
  } finally {
    await envoy?.stop();
    await service.kill();
  }
}

function likeAMesh({ document, connectionManager, httpFilter }: Sample): void {
  connectionManager.set('stat_prefix', 'inbound_0.0.0.0_8080');
  httpFilter(EXT_AUTHZ).set('stat_prefix', 'approov');
  httpFilter(EXT_AUTHZ).set('failure_mode_allow', true);
  visit(document, {
    Pair(_, { key, value }) {
      if (!isScalar(key) || !isScalar(value)) return;
      const renamed = MESH_CLUSTERS[String(value.value)];
      if (['name', 'cluster', 'cluster_name'].includes(String(key.value)) && renamed) value.value = renamed;
    },
  });
}

function picked(record: string, names: readonly string[]): string[] {
  const expr = readRules().find((rule) => rule.record === record || rule.alert === record)?.expr ?? '';
  return [...new Set(selectorsIn(expr).flatMap((selector) => namesPicked(selector, names)))].sort();
}

describe('on a plain Envoy, the rules match', () => {
  test.each(['error', 'denied', 'ok'])('the counters of %s and nothing else', (event) => {
    expect(picked(`instance:envoy_ext_authz_${event}:increase5m`, plain)).toEqual([
      `envoy_cluster_ext_authz_${event}`,
      `envoy_http_ext_authz_${event}`,
    ]);
  });

  test('the counter of requests allowed without an answer', () => {
    expect(picked('instance:envoy_ext_authz_failure_mode_allowed:increase5m', plain)).toEqual([
      'envoy_http_ext_authz_failure_mode_allowed',
    ]);
  });

  test('the number of instances and of healthy ones', () => {
    expect(picked('ApproovEnvoySeesUnhealthy', plain)).toEqual([
      'envoy_cluster_membership_healthy',
      'envoy_cluster_membership_total',
    ]);
  });
});

describe('on an Envoy with dotted names, the rules match', () => {
  test.each(['error', 'denied', 'ok', 'failure_mode_allowed'])(
    'the counters of %s and nothing else',
    (event) => {
      expect(picked(`instance:envoy_ext_authz_${event}:increase5m`, dotted)).toEqual([
        `envoy_cluster_shop_svc_cluster_local_ext_authz_approov_${event}`,
        `envoy_http_0_0_0_8080_ext_authz_approov_${event}`,
      ]);
    },
  );

  test('the number of instances and of healthy ones of every cluster', () => {
    expect(picked('ApproovEnvoySeesUnhealthy', dotted)).toEqual([
      'envoy_cluster_approov_svc_cluster_local_membership_healthy',
      'envoy_cluster_approov_svc_cluster_local_membership_total',
      'envoy_cluster_shop_svc_cluster_local_membership_healthy',
      'envoy_cluster_shop_svc_cluster_local_membership_total',
    ]);
  });
});

test('the runbook lists only metrics that one of the two Envoys has', () => {
  const documented = documentedEnvoyNames();
  expect(documented.length).toBeGreaterThan(10);
  expect(documented.filter((name) => !plain.includes(name) && !dotted.includes(name))).toEqual([]);
});

test('the patterns of the dashboard match metrics of both Envoys', () => {
  const patterns = queriesOf(readDashboard())
    .flatMap(selectorsIn)
    .filter(({ name }) => name === undefined);
  expect(patterns.length).toBeGreaterThan(0);
  for (const pattern of patterns) {
    expect(namesPicked(pattern, plain)).not.toEqual([]);
    expect(namesPicked(pattern, dotted)).not.toEqual([]);
  }
});
