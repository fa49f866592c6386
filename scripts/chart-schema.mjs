/**
 * Writes the schema of `config` into the chart's values.schema.json, from the service's own schema, so that Helm rejects what
 * the service would. Needs a build: `npm run build && node scripts/chart-schema.mjs`.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const SCHEMA_FILE = `${ROOT}deploy/helm/approov-ext-authz/values.schema.json`;

/**
 * @param {z.ZodType} file the schema of the service's configuration file
 * @returns {Record<string, unknown>}
 */
export function chartConfigSchema(file) {
  const { $schema: _, ...schema } = /** @type {Record<string, any>} */ (
    z.toJSONSchema(file, { io: 'input', target: 'draft-7' })
  );
  const { listen: __, ...properties } = schema['properties'];
  // Helm reads YAML 1.1, where an unquoted `off` is false; the chart writes it as a string again.
  properties.policies = withUnquotedOff(properties.policies);
  // The chart derives egress rules from `keys` and terminationGracePeriodSeconds from `drain`.
  return {
    ...schema,
    description: "The service's configuration file without `listen`, which the chart sets.",
    properties,
    required: [...schema['required'], 'keys', 'drain'],
  };
}

/**
 * In every enumeration below.
 * @param {any} schema
 * @returns {any}
 */
function withUnquotedOff(schema) {
  if (Array.isArray(schema)) return schema.map(withUnquotedOff);
  if (typeof schema !== 'object' || schema === null) return schema;
  if (Array.isArray(schema.enum) && schema.enum.includes('off')) {
    const { type: _, ...rest } = schema;
    return { ...rest, enum: [...schema.enum, false] };
  }
  return Object.fromEntries(Object.entries(schema).map(([name, inner]) => [name, withUnquotedOff(inner)]));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { FILE } = await import(`${ROOT}dist/config/schema.js`);
  const schema = JSON.parse(readFileSync(SCHEMA_FILE, 'utf8'));
  schema.properties.config = chartConfigSchema(FILE);
  writeFileSync(SCHEMA_FILE, JSON.stringify(schema));
  execFileSync('npx', ['biome', 'format', '--write', SCHEMA_FILE], { cwd: ROOT, stdio: 'inherit' });
}
