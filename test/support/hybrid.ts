/** Prepares deploy/envoy-hybrid.yaml for a test: with a JWK Set that the command `jwks` wrote. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Policy } from '../../src/authz/policy.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { type Sample, SERVICE_CONFIG } from './envoy.ts';
import { runInProcess } from './in-process.ts';
import { SECRET } from './token.ts';

export const HYBRID_ENVOY_CONFIG = fileURLToPath(new URL('../../deploy/envoy-hybrid.yaml', import.meta.url));

/** A copy of the sample with the path of a JWK Set that exists. */
export function writeHybridSample(): { file: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'hybrid-'));
  const jwkSet = join(folder, 'jwk-set.json');
  writeFileSync(jwkSet, JSON.stringify({ keys: [{ kty: 'oct', alg: 'HS256', k: SECRET }] }));
  const file = join(folder, 'envoy.yaml');
  const sample = readFileSync(HYBRID_ENVOY_CONFIG, 'utf8');
  writeFileSync(file, sample.replace('/etc/envoy/approov-jwks.json', jwkSet));
  return { file, remove: () => rmSync(jwkSet) };
}

/** Runs `jwks` as an operator does. */
export async function writeJwkSet(
  file: string,
  args: readonly string[],
  env?: Readonly<Record<string, string>>,
): Promise<void> {
  const { code, stderr } = await runInProcess(['jwks', ...args, '--output', file], env);
  if (code !== 0) throw new Error(stderr);
}

/** Gives jwt_authn another JWK Set. */
export function withJwkSet({ httpFilter, document }: Sample, file: string): void {
  const path = ['extension_config', 'typed_config', 'providers', 'approov', 'local_jwks', 'filename'];
  const filter = httpFilter('envoy.filters.http.jwt_authn');
  if (filter.toJS(document)['extension_config'] === undefined) throw new Error('jwt_authn has no matcher');
  filter.setIn(path, file);
}

/** Of the service's sample configuration. */
export function samplePolicies(): readonly Policy[] {
  const { config } = parseConfig(readFileSync(SERVICE_CONFIG, 'utf8'), { APPROOV_BASE64_SECRET: SECRET });
  return [...(config?.policyTable.policies.values() ?? [])];
}
