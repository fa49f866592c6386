/** Rewords the schema's errors for people who write YAML, as zod's messages use JavaScript's terms. */
import type * as z from 'zod';
import { looksLikeSecret } from '../approov/secret.ts';
import { nearest } from './nearest.ts';
import { escapeUnprintable } from './printable.ts';

type RawIssue = z.core.$ZodRawIssue;

/** A locale for zod, for every schema without a message of its own. */
export function issueMessage(issue: RawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return typeMessage(issue.expected, issue.input, issue.path ?? []);
    case 'invalid_value':
      return valueMessage(issue.values.map(String), issue.input, issue.path ?? []);
    case 'too_small':
      if (issue.origin === 'array')
        return `must have at least ${issue.minimum} ${plural(issue.minimum, 'item')}`;
      return `must be at least ${issue.minimum}`;
    case 'too_big':
      return `must be at most ${issue.maximum}`;
    case 'unrecognized_keys':
      return knownFields(issue.inst).join(FIELD_SEPARATOR);
    default:
      return 'is not valid';
  }
}

const FIELD_SEPARATOR = ' ';

/** A longer list helps less than the documentation. */
const MAX_LISTED = 6;

/** @param message of an error about an unknown field: the known ones. */
export function unknownField(name: string, message: string): string {
  const known = message.split(FIELD_SEPARATOR).filter(Boolean);
  const missing = missingSpace(name);
  if (missing !== undefined) return `unknown field; ${missing}`;
  // Such as `policy` for `policies`, or `secret` for `secretFile`.
  const longer = known.find((field) => name.length > 3 && field.startsWith(name.slice(0, -1)));
  const meant = nearest(name, known) ?? longer;
  if (meant !== undefined && meant !== name) return `unknown field; did you mean ${meant}?`;
  return known.length > MAX_LISTED ? 'unknown field' : `unknown field; known: ${known.join(', ')}`;
}

function knownFields(schema: unknown): readonly string[] {
  const { shape = {} } = (schema as { _zod?: { def?: { shape?: object } } })._zod?.def ?? {};
  return Object.keys(shape);
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

function typeMessage(expected: string, input: unknown, path: readonly PropertyKey[]): string {
  if (input === undefined) {
    const example = exampleOf(expected, input, path);
    return `is required${example === undefined ? '' : `; for example ${example}`}`;
  }
  const type = TYPES[expected] ?? expected;
  // YAML reads 0001 as the number 1.
  if (expected === 'string' && (typeof input === 'number' || typeof input === 'boolean'))
    return `must be a string, but without quotes YAML reads it as ${TYPES[typeof input]}: quote it`;
  const missing = typeof input === 'string' ? missingSpace(input) : undefined;
  if (missing !== undefined && (expected === 'object' || expected === 'record'))
    return `must be ${type}; ${missing}`;
  const example = exampleOf(expected, input, path);
  const but = input === null ? ' but is empty' : ` not ${describeValue(input)}`;
  return `must be ${type},${but}${example === undefined ? '' : `; for example ${example}`}`;
}

/** YAML reads `mode:off` as a string. */
export function missingSpace(text: string): string | undefined {
  const name = /^([A-Za-z]{1,24}:)[^\s/]/.exec(text)?.[1];
  return name === undefined ? undefined : `a space is missing after "${name}"`;
}

function describeValue(input: unknown): string {
  if (input === null) return 'null';
  if (Array.isArray(input)) return 'a list';
  if (typeof input === 'object') return 'a mapping';
  if (typeof input === 'string') return quoted(input) ?? 'a string';
  if (typeof input === 'number' && !Number.isFinite(input)) return Number.isNaN(input) ? '.nan' : '.inf';
  return typeof input === 'number' || typeof input === 'boolean' ? String(input) : 'this';
}

/** A longer string may be a secret, and no value with a fixed set of choices is that long. */
const MAX_QUOTED = 24;

/** `undefined` if the value may be a secret. */
export function quoted(value: string): string | undefined {
  // A URL may have a password or a token in it.
  const mayBeSecret = value.length > MAX_QUOTED || looksLikeSecret(value) || /:\/\/|@/.test(value);
  return mayBeSecret ? undefined : escapeUnprintable(JSON.stringify(value));
}

const NOUNS: Readonly<Record<string, string>> = {
  mode: 'a mode',
  level: 'a log level',
  algorithms: 'a signing algorithm',
  keyManagementAlgorithms: 'a key management algorithm',
  contentEncryptionAlgorithms: 'a content encryption algorithm',
  forwardClaims: 'a claim that can be forwarded',
};

function valueMessage(values: readonly string[], input: unknown, path: readonly PropertyKey[]): string {
  if (input === undefined) return 'is required';
  if (input === null) return `must not be empty (${values.join(', ')})`;
  const field = fieldOf(path);
  const value = describeValue(input);
  const meant = typeof input === 'string' ? nearest(input, values) : undefined;
  const suggestion =
    input === false && values.includes('off')
      ? '; did you mean "off", which YAML 1.1 reads as false without quotes?'
      : meant === undefined
        ? ''
        : `; did you mean ${JSON.stringify(meant)}?`;
  return `${value === 'a string' ? 'this' : value} is not ${NOUNS[field] ?? `a value of ${field}`}${suggestion} (${values.join(', ')})`;
}

function fieldOf(path: readonly PropertyKey[]): string {
  return String(path.findLast((part) => typeof part === 'string') ?? 'this field');
}

/** By the name of the field, or of the list or mapping that it is in. */
const LIST_EXAMPLES: Readonly<Record<string, string>> = {
  keys: '[{id: current, secretFile: /run/secrets/approov/current}]',
  decryptionKeys: '[{id: current, secretFile: /run/secrets/approov/decryption}]',
  messageSigningKeys: '[{id: account, mskid: j3AWy6, secretFile: /run/secrets/approov/account}]',
  routes: '[{pathPrefix: /healthz, policy: open}]',
  headers: '[authorization]',
  hosts: '[api.example.com]',
  methods: '[GET, POST]',
  algorithms: '[HS256]',
  forwardClaims: '[did]',
};
const MAPPING_EXAMPLES: Readonly<Record<string, string>> = {
  policies: '{default: {mode: observe}}',
  binding: '{headers: [authorization]}',
  messageSignature: '{install: when-ipk}',
  replayStore: '{url: "redis://redis:6379"}',
  denied: '{status: 403}',
  headers: '{retry-after: "30"}',
  listen: '{grpc: "0.0.0.0:9001"}',
  tls: '{certFile: /etc/tls/tls.crt, keyFile: /etc/tls/tls.key}',
  log: '{level: info}',
  drain: '{delaySeconds: 5}',
  tokenCache: '{maxEntries: 10000}',
  connection: '{maxAgeSeconds: 600}',
  limits: '{connections: 10000}',
};
const ITEM_EXAMPLES: Readonly<Record<string, string>> = {
  keys: '{id: current, secretFile: /run/secrets/approov/current}',
  decryptionKeys: '{id: current, secretFile: /run/secrets/approov/decryption}',
  messageSigningKeys: '{id: account, mskid: j3AWy6, secretFile: /run/secrets/approov/account}',
  routes: '{pathPrefix: /healthz, policy: open}',
  policies: '{mode: observe}',
};

function exampleOf(expected: string, input: unknown, path: readonly PropertyKey[]): string | undefined {
  const field = String(path.at(-1));
  const parent = String(path.at(-2));
  if (expected === 'array') {
    const example = LIST_EXAMPLES[field];
    return example && `${field}: ${example}`;
  }
  if (expected !== 'object' && expected !== 'record') return undefined;
  // The list that was meant: `routes: [/a]`; or the policy: `default: observe`.
  if (Object.hasOwn(ITEM_EXAMPLES, parent)) {
    const example = ITEM_EXAMPLES[parent];
    return typeof path.at(-1) === 'number' ? `- ${example}` : example;
  }
  if (field === 'binding' && typeof input === 'string' && /^[a-z-]{1,24}$/i.test(input))
    return `binding: {headers: [${input}]}`;
  const example = MAPPING_EXAMPLES[field];
  return example && `${field}: ${example}`;
}

function plural(count: number | bigint, noun: string): string {
  return Number(count) === 1 ? noun : `${noun}s`;
}
