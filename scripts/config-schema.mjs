/**
 * Writes config.schema.json, and from it the tables of fields in docs/configuration.md. Needs a build:
 * `npm run build && node scripts/config-schema.mjs`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const SCHEMA_FILE = `${ROOT}config.schema.json`;
const PAGE_FILE = `${ROOT}docs/configuration.md`;

const BEGIN = '<!-- The tables are written by scripts/config-schema.mjs. -->\n';
const END = '<!-- End of the tables. -->\n';

/** @type {Readonly<Record<string, string>>} Where the documentation says more, for the last words of a description. */
const LINKS = {
  'keys[].jwksFile': '[Which members are used](rotation.md#keysets).',
  'keys[].kid': '[Several keys](#several-keys).',
  decryptionKeys: '[Encrypted tokens](#encrypted-tokens).',
  'policies.<name>.enforcePercent': '[A share of devices](override.md#enforce-for-a-share-of-devices).',
  'policies.<name>.binding': '[Token binding](#token-binding).',
  'policies.<name>.messageSignature': '[Message signatures](message-signatures.md).',
  'policies.<name>.allowCorsPreflight': '[What that means](../SECURITY.md#limitations).',
  'log.level': '[Level debug](operations.md#level-debug).',
  routes: '[Which policy applies](#which-policy-applies).',
  rollout: '[What each threshold means](rollout.md#thresholds).',
};

/** @typedef {import('../src/config/json-schema.ts').JsonSchema} JsonSchema */
/** @typedef {{ path: string, schema: JsonSchema, isRequired: boolean }} Field */
/** @typedef {{ path: string, about: string, values: string, default: string }} Row */

/**
 * Returns the page with new tables of fields.
 * @param {string} page
 * @param {JsonSchema} schema
 * @returns {string}
 */
export function withFieldTables(page, schema) {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin === -1 || end < begin) throw new Error('the page lacks the markers around the tables of fields');
  return `${page.slice(0, begin + BEGIN.length)}${fieldTables(schema)}${page.slice(end)}`;
}

/** @param {JsonSchema} schema */
function fieldTables({ properties = {} }) {
  const sections = Object.entries(properties).filter(([, section]) => fieldsOf(section).length > 0);
  const others = Object.entries(properties).filter(([, field]) => fieldsOf(field).length === 0);
  return [
    ...sections.map(([name, section]) => {
      const rows = fieldsOf(section).flatMap((field) => rowsOf(name, field));
      return `\n### \`${name}\`\n\n${aboutOf(name, section)}\n\n${table(rows)}`;
    }),
    `\n### Other fields\n\n${table(others.flatMap(([name, schema]) => rowsOf('', { path: name, schema, isRequired: false })))}`,
    '\n',
  ].join('');
}

/**
 * The fields below a section, a list of mappings, or a mapping of names, with their paths from there.
 * @param {JsonSchema} schema
 * @returns {Field[]}
 */
function fieldsOf({ properties, required = [], items, additionalProperties, anyOf = [] }) {
  if (properties !== undefined)
    return Object.entries(properties).map(([name, schema]) => ({
      path: `.${name}`,
      schema,
      isRequired: required.includes(name),
    }));
  if (items?.properties !== undefined)
    return fieldsOf(items).map((field) => ({ ...field, path: `[]${field.path}` }));
  if (additionalProperties && additionalProperties.properties !== undefined)
    return fieldsOf(additionalProperties).map((field) => ({ ...field, path: `.<name>${field.path}` }));
  return anyOf.flatMap(fieldsOf);
}

/**
 * @param {string} parent
 * @param {Field} field
 * @returns {Row[]}
 */
function rowsOf(parent, { path: name, schema, isRequired }) {
  const path = `${parent}${name}`;
  const below = fieldsOf(schema);
  const row = {
    path,
    about: aboutOf(path, schema),
    values: below.length > 0 ? 'mapping' : valuesOf(schema),
    default: isRequired
      ? 'required'
      : schema.default === undefined
        ? ''
        : code(stringify(schema.default).trim()),
  };
  return [row, ...below.flatMap((field) => rowsOf(path, field))];
}

/**
 * @param {string} path
 * @param {JsonSchema} schema
 */
function aboutOf(path, { description = '' }) {
  return [description, LINKS[path] ?? ''].join(' ').trim();
}

/** @param {readonly Row[]} rows */
function table(rows) {
  const lines = rows.map(
    ({ path, about, values, default: value }) =>
      `| ${code(path)} | ${about.replaceAll('|', '\\|')} | ${values} | ${value} |\n`,
  );
  return `| field | means | values | default |\n| --- | --- | --- | --- |\n${lines.join('')}`;
}

/**
 * What a field may be set to, in words.
 * @param {JsonSchema} schema
 * @returns {string}
 */
function valuesOf({ anyOf, type, items, additionalProperties, minimum, maximum, ...schema }) {
  if (schema.enum !== undefined) return compact(schema.enum).join(', ');
  if (schema.const !== undefined) return code(String(schema.const));
  if (anyOf !== undefined) {
    // Null is the default where it has a meaning, and a pattern beside words is for other spellings of them.
    const others = anyOf.filter((one) => one.type !== 'null' && Object.keys(one).join() !== 'pattern');
    return [...new Set(others.map(valuesOf))].join(', or ');
  }
  const [name] = [type].flat();
  if (name === 'boolean') return '`true`, `false`';
  if (name === 'array') return items?.enum === undefined ? 'list' : `list of ${valuesOf(items)}`;
  if (name === 'object') return additionalProperties ? 'mapping of names to strings' : 'mapping';
  if (name === 'string') return 'string';
  const range = maximum === undefined ? '' : `, ${minimum} to ${maximum}`;
  return `${name === 'integer' ? 'whole number' : 'number'}${range}`;
}

/**
 * Numbers as ranges, texts as code.
 * @param {readonly unknown[]} values
 */
function compact(values) {
  /** @type {[from: number, to: number][]} */
  const ranges = [];
  for (const value of values) {
    if (typeof value !== 'number') continue;
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === value - 1) last[1] = value;
    else ranges.push([value, value]);
  }
  const texts = values.filter((value) => typeof value === 'string').map(code);
  return [...ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)), ...texts];
}

/** @param {string} text */
function code(text) {
  return `\`${text.replaceAll('|', '\\|')}\``;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { configJsonSchema } = await import(`${ROOT}dist/config/json-schema.js`);
  const schema = configJsonSchema();
  writeFileSync(SCHEMA_FILE, `${JSON.stringify(schema, null, 2)}\n`);
  writeFileSync(PAGE_FILE, withFieldTables(readFileSync(PAGE_FILE, 'utf8'), schema));
}
