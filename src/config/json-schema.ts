/** Builds the JSON Schema of the configuration file, from which editors complete and check it. */
import * as z from 'zod';
import { FILE, OPTIONAL_SECTIONS } from './schema.ts';

/** With the keywords of draft 2020-12 that draft-07 has too, since editors differ in what they support. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | false;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
}

const HEAD = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: 'urn:approov-ext-authz:config.schema.json',
  title: 'Configuration file of approov-ext-authz',
  description:
    'Which keys verify Approov tokens, and what happens to requests without a valid one. The service checks more than this schema can: see `approov-ext-authz check-config`.',
};

export function configJsonSchema(): JsonSchema {
  const schema = z.toJSONSchema(FILE, { io: 'input', override: keepAnnotations }) as JsonSchema;
  // A missing default policy is added.
  const { required: _, ...optional } = withoutSectionDefaults(schema);
  const nullable = [...OPTIONAL_SECTIONS, 'policies.*'].reduce(
    (part, path) => withNull(part, path.split('.')),
    optional,
  );
  return { ...nullable, ...HEAD };
}

/** Zod drops these where it transforms the input, as they might be meant for the output; ours are for the input. */
function keepAnnotations({
  zodSchema,
  jsonSchema,
}: {
  zodSchema: z.core.$ZodTypes;
  jsonSchema: object;
}): void {
  const { examples } = z.globalRegistry.get(zodSchema) ?? {};
  if (examples !== undefined) Object.assign(jsonSchema, { examples });
  const { def } = zodSchema._zod;
  if (def.type === 'default') Object.assign(jsonSchema, { default: def.defaultValue });
}

/** Each field of a section has its own default. */
function withoutSectionDefaults(schema: JsonSchema): JsonSchema {
  const sections = Object.entries(schema.properties ?? {}).map(([name, { default: value, ...section }]) => [
    name,
    section.properties === undefined && value !== undefined ? { ...section, default: value } : section,
  ]);
  return { ...schema, properties: Object.fromEntries(sections) };
}

/** Accepts an empty section, of which every line may be commented out. */
function withNull(schema: JsonSchema, [field, ...rest]: readonly string[]): JsonSchema {
  if (field === undefined) return orNull(schema);
  if (field === '*')
    return { ...schema, additionalProperties: withNull(schema.additionalProperties || {}, rest) };
  const properties = Object.entries(schema.properties ?? {}).map(([name, inner]) => [
    name,
    name === field ? withNull(inner, rest) : inner,
  ]);
  return { ...schema, properties: Object.fromEntries(properties) };
}

function orNull(schema: JsonSchema): JsonSchema {
  if (schema.anyOf !== undefined) return { ...schema, anyOf: [...schema.anyOf, { type: 'null' }] };
  return typeof schema.type === 'string' ? { ...schema, type: [schema.type, 'null'] } : schema;
}
