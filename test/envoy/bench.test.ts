/** Tests that the bench can measure the samples: Envoy accepts the configuration that has the filters of each. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { envoyContenders } from '../../bench/contenders.mjs';
import { envoyConfig } from '../../bench/envoy-config.mjs';
import { SCENARIOS } from '../../bench/scenarios.mjs';
import { SUBJECTS } from '../../bench/subjects.mjs';
import { validateConfig } from '../../scripts/envoy.mjs';

test('Envoy accepts the configuration of the bench, in which each server is asked by the filters of the samples', async () => {
  const contenders = envoyContenders(SUBJECTS, SCENARIOS.slice(0, 1));
  expect(contenders.map(({ label }) => label)).toEqual(
    expect.arrayContaining(['no auth', 'jwt_authn', 'lean Go', 'this service, lean, envoy-hybrid.yaml']),
  );
  const routes = contenders.map(({ id, filter }) => ({
    listener: id,
    httpFilters: filter?.httpFilters('server') ?? [],
  }));
  expect(JSON.stringify(routes)).not.toContain('approov_authz');
  const file = join(mkdtempSync(join(tmpdir(), 'bench-envoy-')), 'envoy.json');
  onTestFinished(() => rmSync(dirname(file), { recursive: true }));
  writeFileSync(file, JSON.stringify(envoyConfig(routes, { server: 9001 })));
  expect(await validateConfig(file)).toBeUndefined();
});
