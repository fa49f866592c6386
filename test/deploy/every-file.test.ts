/** Checks that every file of deploy/ has a test that reads it or passes it to the program that it is for. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { sampleFolder } from '../support/sample-files.ts';

const TESTS = fileURLToPath(new URL('../', import.meta.url));
/** Created by users, ignored by git. */
const SECRETS = 'secrets/';

/**
 * For each file of deploy/, the test that reads it and the code with which it does. `*` matches any name in a folder, and
 * is only for tests that list the folder, so that they read new files as well.
 */
const READ_BY: Readonly<Record<string, readonly [test: string, words: string]>> = {
  'config/config.yaml': ['deploy/samples.test.ts', "readFileSync(SERVICE_CONFIG, 'utf8')"],
  'docker-compose.yaml': ['platform/compose.test.ts', "join(ROOT, 'deploy/docker-compose.yaml')"],
  'docker-compose.ratelimit.yaml': [
    'platform/ratelimit.test.ts',
    "readFileSync(join(ROOT, 'deploy/docker-compose.ratelimit.yaml')",
  ],
  'envoy-hybrid.yaml': ['deploy/hybrid.test.ts', "readSample('.', 'envoy-hybrid.yaml')"],
  'upstream.mjs': ['platform/kubernetes.test.ts', "readFileSync(join(sampleFolder('.'), 'upstream.mjs')"],
  'ratelimit/envoy.yaml': [
    'platform/ratelimit.test.ts',
    "readFileSync(join(ROOT, 'deploy/ratelimit/envoy.yaml')",
  ],
  'ratelimit/limits.yaml': [
    'platform/ratelimit.test.ts',
    "copyFileSync(join(ROOT, 'deploy/ratelimit/limits.yaml')",
  ],

  'docker-compose.message-signatures.yaml': [
    'deploy/docker.test.ts',
    "'deploy/docker-compose.message-signatures.yaml'",
  ],
  'message-signatures/envoy.yaml': ['deploy/message-signatures.test.ts', 'await validateConfig(ENVOY_FILE)'],
  'message-signatures/config.yaml': ['deploy/message-signatures.test.ts', 'parseConfig(serviceYaml'],
  'message-signatures/istio-mesh-config.yaml': [
    'deploy/message-signatures.test.ts',
    "readSample(FOLDER, 'istio-mesh-config.yaml')",
  ],
  'message-signatures/redis.yaml': ['deploy/message-signatures.test.ts', "readSample(FOLDER, 'redis.yaml')"],
  'message-signatures/envoy-gateway.yaml': [
    'platform/samples-dry-run.test.ts',
    "objectsOf('message-signatures', 'envoy-gateway.yaml')",
  ],

  // The API server validates every Kubernetes object; other files have their own rows.
  'envoy-gateway/*.yaml': ['platform/samples-dry-run.test.ts', 'sampleFiles(folder).map('],
  'gateway-api/*.yaml': ['platform/samples-dry-run.test.ts', 'sampleFiles(folder).map('],
  'istio/*.yaml': ['platform/samples-dry-run.test.ts', 'sampleFiles(folder).map('],
  'envoy-gateway/approov-values.yaml': ['deploy/envoy-gateway.test.ts', 'samplePolicyTable(FOLDER)'],
  'istio/approov-values.yaml': ['deploy/istio.test.ts', 'samplePolicyTable(FOLDER)'],
  'istio/mesh-config.yaml': ['platform/istio.test.ts', "readSample(FOLDER, 'mesh-config.yaml')"],

  // Built with kubectl, and compared with the names in the folder.
  'kubernetes/*.yaml': ['deploy/kustomize.test.ts', 'readdirSync(folder)'],
  'kubernetes/try/*.yaml': ['deploy/kustomize.test.ts', 'readdirSync(folder)'],

  'helm/approov-ext-authz/.helmignore': ['deploy/helm.test.ts', "'package', CHART"],
  'helm/approov-ext-authz/Chart.yaml': ['deploy/helm.test.ts', "/Chart.yaml`, 'utf8')"],
  'helm/approov-ext-authz/README.md': ['deploy/helm.test.ts', "readFileSync(README_FILE, 'utf8')"],
  'helm/approov-ext-authz/values.yaml': ['deploy/helm.test.ts', "readFileSync(VALUES_FILE, 'utf8')"],
  'helm/approov-ext-authz/values.schema.json': ['deploy/helm.test.ts', "readFileSync(SCHEMA_FILE, 'utf8')"],
  'helm/approov-ext-authz/ci/*.yaml': ['deploy/helm.test.ts', '...VALUES_FILES.map('],
  'helm/approov-ext-authz/files/rules.yaml': ['deploy/helm.test.ts', "/files/rules.yaml`, 'utf8')"],
  'helm/approov-ext-authz/templates/*.yaml': ['deploy/helm.test.ts', '/templates`).filter('],
  // Every template uses it.
  'helm/approov-ext-authz/templates/_names.tpl': ['deploy/helm.test.ts', 'await render()'],
  'helm/approov-ext-authz/templates/NOTES.txt': [
    'platform/kubernetes.test.ts',
    'notes = await namespace.install(',
  ],

  'prometheus/prometheus.yaml': ['deploy/prometheus.test.ts', "'check', 'config', "],
  'prometheus/rules.yaml': ['deploy/prometheus.test.ts', "'check', 'rules', '--lint=all'"],
  'prometheus/*.test.yaml': ['deploy/prometheus.test.ts', "'test', 'rules', ...RULE_TESTS"],
  'argo-rollouts/analysis-templates.yaml': [
    'deploy/progressive-delivery.test.ts',
    "'argo-rollouts', 'analysis-templates.yaml'",
  ],
  'flagger/metric-templates.yaml': [
    'deploy/progressive-delivery.test.ts',
    "'flagger', 'metric-templates.yaml'",
  ],
  'grafana/dashboard.json': ['deploy/grafana.test.ts', 'readDashboard()'],
  'grafana/provisioning/dashboards/approov.yaml': [
    'deploy/grafana-provisioning.test.ts',
    "readYaml('deploy/grafana/provisioning/dashboards/approov.yaml')",
  ],
  'grafana/provisioning/datasources/prometheus.yaml': [
    'deploy/grafana-provisioning.test.ts',
    "readYaml('deploy/grafana/provisioning/datasources/prometheus.yaml')",
  ],
};

const files = readdirSync(sampleFolder('.'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map(({ parentPath, name }) => relative(sampleFolder('.'), join(parentPath, name)))
  .filter((file) => !file.startsWith(SECRETS));

function covers(pattern: string, file: string): boolean {
  const [start = '', end] = pattern.split('*');
  if (end === undefined) return pattern === file;
  return file.startsWith(start) && file.endsWith(end) && !file.slice(start.length).includes('/');
}

describe('deploy/', () => {
  test('has no file that no test reads', () => {
    const unread = files.filter((file) => !Object.keys(READ_BY).some((pattern) => covers(pattern, file)));
    expect(unread).toEqual([]);
  });

  test.each(Object.entries(READ_BY))('has %s, and its test reads it', (pattern, [name, words]) => {
    expect(files.filter((file) => covers(pattern, file))).not.toEqual([]);
    const code = readFileSync(join(TESTS, name), 'utf8')
      .split('\n')
      .filter((line) => !/^\s*(\/\/|\/?\*)/.test(line));
    expect(
      code.some((line) => line.includes(words)),
      `${name}: ${words}`,
    ).toBe(true);
  });
});
