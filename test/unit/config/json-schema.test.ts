/** Tests the JSON Schema of the configuration file with a validator: what it accepts, rejects and says. */
import { existsSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { SCHEMA_FILE } from '../../../scripts/config-schema.mjs';
import { configSchema } from '../../../src/commands/config-schema.ts';
import type { Config } from '../../../src/config/config.ts';
import { configJsonSchema, type JsonSchema } from '../../../src/config/json-schema.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { SECRET } from '../../support/token.ts';

const ROOT = new URL('../../../', import.meta.url);
const SCHEMA = configJsonSchema();
// A `required` inside `oneOf` names properties of the schema around it.
const AJV_OPTIONS = {
  strict: true,
  strictRequired: false,
  allowUnionTypes: true,
  validateFormats: false,
  allErrors: true,
};
const validate = new Ajv2020(AJV_OPTIONS).compile(SCHEMA);

/** The paths at which the schema finds a mistake; empty if there is none. */
function mistakesIn(config: unknown): string[] {
  return validate(config) ? [] : (validate.errors ?? []).map(({ instancePath }) => instancePath);
}

function accepts(text: string): boolean {
  return parseConfig(text, ENV).config !== undefined;
}
const ENV = { APPROOV_BASE64_SECRET: SECRET };

/** Every schema in the schema, by where it is. */
function partsOf(schema: JsonSchema, path = ''): (readonly [path: string, schema: JsonSchema])[] {
  const { properties = {}, items, additionalProperties, anyOf = [] } = schema;
  return [
    [path, schema] as const,
    ...Object.entries(properties).flatMap(([name, inner]) => partsOf(inner, `${path}.${name}`)),
    ...[items, additionalProperties || undefined, ...anyOf].flatMap((inner) =>
      inner === undefined ? [] : partsOf(inner, `${path}[]`),
    ),
  ];
}

describe('the schema', () => {
  it('is what the command prints, and what config.schema.json has', async () => {
    const lines: string[] = [];
    const io = { out: (line: string) => lines.push(line) };
    expect(await configSchema.run({} as never, io as never)).toBe(0);
    expect(JSON.parse(lines.join('\n'))).toEqual(SCHEMA);
    expect(`${lines.join('\n')}\n`).toBe(readFileSync(SCHEMA_FILE, 'utf8'));
  });

  it('describes every field', () => {
    const fields = partsOf(SCHEMA).filter(([path]) => !path.endsWith('[]'));
    expect(fields.length).toBeGreaterThan(65);
    expect(fields.filter(([, { description }]) => !description?.endsWith('.')).map(([path]) => path)).toEqual(
      [],
    );
  });

  it('has only keywords of draft 2020-12 that draft-07 has too, for editors that know no later one', () => {
    const keywords = new Set<string>();
    JSON.stringify(SCHEMA, function (this: unknown, key, value) {
      // The names of fields, and the values that examples and defaults have, are not keywords.
      if (key === 'properties') return Object.values(value);
      if (key === 'examples' || key === 'default') return undefined;
      if (!Array.isArray(this) && key !== '') keywords.add(key);
      return value;
    });
    expect([...keywords].sort()).toEqual([
      '$id',
      '$schema',
      'additionalProperties',
      'allOf',
      'anyOf',
      'const',
      'description',
      'enum',
      'format',
      'items',
      'maxItems',
      'maximum',
      'minItems',
      'minLength',
      'minimum',
      'not',
      'oneOf',
      'pattern',
      'propertyNames',
      'required',
      'title',
      'type',
    ]);
  });

  it('accepts each of its defaults and examples', () => {
    const parts = partsOf(SCHEMA).filter(([path]) => path !== '');
    const given = parts.flatMap(([path, schema]) =>
      [...('default' in schema ? [schema.default] : []), ...((schema['examples'] as unknown[]) ?? [])].map(
        (value) => ({ path, schema, value }),
      ),
    );
    expect(given.length).toBeGreaterThan(60);
    const ajv = new Ajv2020(AJV_OPTIONS);
    expect(given.filter(({ schema, value }) => !ajv.validate(schema, value))).toEqual([]);
  });

  it('has the defaults of the service', () => {
    const configOf = (text: string) => (parseConfig(text, ENV).config as Config).settings;
    const { listen: _, policies, keys: __, ...settings } = configOf('');
    const defaultsOf = (schema: JsonSchema | undefined): unknown =>
      schema?.properties === undefined || schema.default !== undefined
        ? schema?.default
        : Object.fromEntries(
            Object.entries(schema.properties).map(([name, inner]) => [name, defaultsOf(inner)]),
          );
    const { listen: ___, keys: ____, replayStore, policies: map, ...sections } = SCHEMA.properties ?? {};
    const defaults = Object.entries(sections).map(([name, schema]) => [name, defaultsOf(schema)]);
    const { rollout, ...others } = Object.fromEntries(defaults) as { rollout: object };
    // Without app versions, none are counted.
    expect({ ...others, rollout: { ...rollout, appVersion: undefined } }).toEqual(settings);
    const { denied: _____, ...policy } = defaultsOf(map?.additionalProperties || undefined) as {
      denied: unknown;
    };
    expect(policy).toEqual(policies['default']);
    const { replayStore: given } = configOf('replayStore: {url: "redis://redis"}');
    expect({ ...given, url: undefined }).toEqual(defaultsOf(replayStore));
    const signed = configOf('policies: {default: {messageSignature: {}}}').policies['default'];
    const [, section] = partsOf(SCHEMA).find(([path]) => path === '.policies[].messageSignature[]') ?? [];
    expect(signed?.messageSignature).toEqual(defaultsOf(section));
  });
});

/** Configuration files of the repository, whole or as values of the chart. */
const SAMPLES: readonly (readonly [file: string, read: (text: string) => unknown])[] = [
  ['deploy/config/config.yaml', parse],
  ['deploy/kubernetes/config.yaml', parse],
  ['docs/configuration.md', (text) => parse(/```yaml\n(.*?)```/s.exec(text)?.[1] ?? '')],
  ['docs/rotation.md', (text) => parse(/```yaml\n(keys:.*?)```/s.exec(text)?.[1] ?? '')],
  ['deploy/helm/approov-ext-authz/values.yaml', (text) => parse(text).config],
  ['deploy/istio/approov-values.yaml', (text) => parse(text).config],
  ['deploy/envoy-gateway/approov-values.yaml', (text) => parse(text).config],
];

describe('a configuration file of the repository', () => {
  it.each(SAMPLES)('in %s is accepted', (file, read) => {
    const config = read(readFileSync(new URL(file, ROOT), 'utf8'));
    expect(Object.keys(config as object).length).toBeGreaterThan(0);
    expect(mistakesIn(config)).toEqual([]);
  });

  it.each([
    ['deploy/config/config.yaml', '../../config.schema.json'],
    ['deploy/kubernetes/config.yaml', '../../config.schema.json'],
    ['deploy/helm/approov-ext-authz/values.yaml', 'values.schema.json'],
    ['deploy/istio/approov-values.yaml', '../helm/approov-ext-authz/values.schema.json'],
    ['deploy/envoy-gateway/approov-values.yaml', '../helm/approov-ext-authz/values.schema.json'],
  ])('in %s names the schema for editors in its first line', (file, schema) => {
    const [first] = readFileSync(new URL(file, ROOT), 'utf8').split('\n');
    expect(first).toBe(`# yaml-language-server: $schema=${schema}`);
    expect(existsSync(new URL(schema, new URL(file, ROOT)))).toBe(true);
  });
});

describe('the schema agrees with the service', () => {
  it.each([
    '',
    'routes:\npolicies:\nlog:\nworkers:\ndefaultPolicy:\nlisten:\n  tls:\ndenied:\n  headers:',
    'policies: {default: , open: {mode: off, denied: {headers: }}}',
    'policies: {open: {mode: off}}',
    'log: {level: WARNING}',
    'log: {level: Debug}',
    'workers: auto',
    'listen: {grpc: "unix:/run/approov/authz.sock", admin: "[::1]:9002"}',
    'policies: {default: {issuer: [a, b], audience: host, tokenHeader: X-Token, tokenPrefix: "Bearer "}}',
    'policies: {default: {binding: {headers: [Authorization]}}}',
    'routes: [{host: "*.example.com", pathPrefix: /a, methods: [GET, M-SEARCH], policy: default}]',
    'denied: {status: 403, headers: {retry-after: "30"}}',
    'limits: {messageBytes: 1024}\ndrain: {delaySeconds: 0.5}',
    'policies: {default: {messageSignature: }}',
    'policies: {default: {messageSignature: {externalHost: "api.example.com:8443", replay: per-instance}}}',
    'policies: {default: {messageSignature: {requiredComponents: ["@method", "@path", Authorization]}}}',
    'policies: {default: {messageSignature: {account: when-mskid}}}\nmessageSigningKeys: [{id: a, mskid: "1", secretFile: /a}]',
    'replayStore: {url: "rediss://[::1]:6379/1", onError: allow, caFile: /ca, passwordFile: /p}',
  ])('on the valid %j', (text) => {
    expect(accepts(text)).toBe(true);
    expect(mistakesIn(parse(text) ?? {})).toEqual([]);
  });

  it.each([
    ['extra: 1', ''],
    ['policy: {default: {}}', ''],
    ['policies: {default: {mode: observer}}', '/policies/default/mode'],
    ['policies: {default: {mode: false}}', '/policies/default/mode'],
    ['policies: {default: observe}', '/policies/default'],
    ['policies: {default: {binding: authorization}}', '/policies/default/binding'],
    ['policies: {default: {binding: {}}}', '/policies/default/binding'],
    ['policies: {default: {tokenHeader: Approov Token}}', '/policies/default/tokenHeader'],
    ['policies: {default: {clockToleranceSeconds: 301}}', '/policies/default/clockToleranceSeconds'],
    ['policies: {default: {enforcePercent: 101}}', '/policies/default/enforcePercent'],
    ['policies: {default: {allowCorsPreflight: yes}}', '/policies/default/allowCorsPreflight'],
    ['policies: {default: {forwardClaims: [pay]}}', '/policies/default/forwardClaims/0'],
    ['policies: {default: {issuer: "*"}}', '/policies/default/issuer'],
    ['policies: {default: {audience: ""}}', '/policies/default/audience'],
    ['policies: {Strict: {}}', '/policies'],
    ['policies: {unknown: {}}', '/policies'],
    ['routes: [/a]', '/routes/0'],
    ['routes: [{host: api.example.com}]', '/routes/0'],
    ['routes: [{policy: default, pathPrefix: api}]', '/routes/0/pathPrefix'],
    ['routes: [{policy: default, pathPrefix: "/api/*"}]', '/routes/0/pathPrefix'],
    ['routes: [{policy: default, methods: [get]}]', '/routes/0/methods/0'],
    ['routes: [{policy: default, methods: [ANY]}]', '/routes/0/methods/0'],
    ['routes: {policy: default}', '/routes'],
    ['denied: {status: 200}', '/denied/status'],
    ['denied: {status: "403"}', '/denied/status'],
    ['denied: {headers: {retry-after: 30}}', '/denied/headers/retry-after'],
    ['log: {level: loud}', '/log/level'],
    ['log: {checks: some}', '/log/checks'],
    ['listen: {grpc: 9001}', '/listen/grpc'],
    ['listen: {grpc: "unix:authz.sock"}', '/listen/grpc'],
    ['listen: {admin: "unix:/a.sock"}', '/listen/admin'],
    ['listen: {unixSocketMode: 0660}', '/listen/unixSocketMode'],
    ['listen: {tls: {certFile: /c}}', '/listen/tls'],
    ['workers: many', '/workers'],
    ['workers: 0', '/workers'],
    ['drain: {timeoutSeconds: 20s}', '/drain/timeoutSeconds'],
    ['limits: {messageBytes: 1}', '/limits/messageBytes'],
    ['keys: []', '/keys'],
    ['keys: [{id: a}]', '/keys/0'],
    ['keys: [{secretFile: /a}]', '/keys/0'],
    ['keys: [{id: a, secret: /a}]', '/keys/0'],
    ['keys: [{id: A, secretFile: /a}]', '/keys/0/id'],
    ['keys: [{id: a, secretFile: /a, pemFile: /b}]', '/keys/0'],
    ['keys: [{id: a, secretFile: /a, kid: 0001}]', '/keys/0/kid'],
    ['keys: [{id: a, secretFile: /a, algorithms: [HS128]}]', '/keys/0/algorithms/0'],
    ['keys: [{id: a, jwksUrl: "http://a.com/"}]', '/keys/0/jwksUrl'],
    ['decryptionKeys: [{id: a, secretFile: /a, privateKeyFile: /b}]', '/decryptionKeys/0'],
    ['messageSigningKeys: [{id: a, secretFile: /a}]', '/messageSigningKeys/0'],
    ['messageSigningKeys: [{id: a, mskid: 1, secretFile: /a}]', '/messageSigningKeys/0/mskid'],
    ['replayStore: {}', '/replayStore'],
    ['replayStore: {url: "http://redis"}', '/replayStore/url'],
    ['replayStore: {url: "redis://me:pass@redis"}', '/replayStore/url'],
    ['policies: {default: {messageSignature: true}}', '/policies/default/messageSignature'],
    ['policies: {default: {messageSignature: {install: yes}}}', '/policies/default/messageSignature/install'],
    [
      'policies: {default: {messageSignature: {requiredComponents: ["@status"]}}}',
      '/policies/default/messageSignature/requiredComponents/0',
    ],
  ])('on the mistake in %j', (text, path) => {
    expect(accepts(text)).toBe(false);
    expect(mistakesIn(parse(text))).toContain(path);
  });
});
