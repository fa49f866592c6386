/** Runs the service as the samples of a platform configure it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { PolicyTable } from '../../src/authz/policy.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { type RunningService, startServe } from './process.ts';
import { readSample } from './sample-files.ts';
import { SECRET } from './token.ts';

/**
 * Runs the service with the configuration in the chart values of a folder of deploy/, and the test secret. The values
 * only observe; here the policy `limited` is in mode `limit`, as after the rollout.
 * @param address host:port of the gRPC listener.
 */
export async function startConfiguredService(
  folder: string,
  address: string,
  env: Readonly<Record<string, string>> = {},
): Promise<RunningService> {
  const [values] = readSample(folder, 'approov-values.yaml');
  const configFolder = mkdtempSync(join(tmpdir(), 'approov-config-'));
  const file = join(configFolder, 'config.yaml');
  const config = structuredClone(values?.['config']);
  config.policies.limited.mode = 'limit';
  writeFileSync(file, stringify(config));
  const variables = { APPROOV_BASE64_SECRET: SECRET, APPROOV_GRPC_LISTEN: address, ...env };
  const service = await startServe(variables, ['--config', file]);
  void service.ended.then(() => rmSync(configFolder, { recursive: true, force: true }));
  return service;
}

/** The policies and routes in the chart values of a folder of deploy/, as the service parses them. */
export function samplePolicyTable(folder: string): PolicyTable {
  const [values] = readSample(folder, 'approov-values.yaml');
  const { config, problems } = parseConfig(stringify(values?.['config']), { APPROOV_BASE64_SECRET: SECRET });
  if (config === undefined)
    throw new Error(problems.map(({ path, message }) => `${path}: ${message}`).join());
  return config.policyTable;
}
