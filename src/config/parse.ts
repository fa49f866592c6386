/** Owns the way from a file's text and the environment to a configuration, or to everything that is wrong with it. */
import { LineCounter, parseDocument } from 'yaml';
import type * as z from 'zod';
import { Secret, SecretError } from '../approov/secret.ts';
import { normalizeHost } from '../authz/check-request.ts';
import type { Policy, PolicyTable } from '../authz/policy.ts';
import { type Config, ConfigError, type KeySource, type Problem } from './config.ts';
import {
  applyOverrides,
  type Env,
  isRawObject,
  type RawObject,
  readVariable,
  SECRET_FILE_VARIABLE,
  SECRET_VARIABLE,
  withOrigin,
} from './env.ts';
import { DEFAULT_POLICY, FILE, KEY, type KeySettings, type PolicySettings, type Settings } from './schema.ts';

/** The id of the key that the environment gives. */
const ENV_KEY_ID = 'env';

/** What could be read: with problems there is no configuration, yet the keys that are well described are known. */
export interface ParsedConfig {
  readonly config: Config | undefined;
  readonly keys: readonly KeySource[];
  readonly problems: readonly Problem[];
}

/**
 * Reads a configuration; files that it names are not opened.
 * @param text the YAML file's content; `undefined` to start on the environment alone.
 */
export function parseConfig(text: string | undefined, env: Env): ParsedConfig {
  const problems: Problem[] = [];
  const content = readYaml(text ?? '', problems);
  if (content === undefined) return { config: undefined, keys: [], problems };

  const { defaultPolicy = DEFAULT_POLICY } = content;
  if (defaultPolicy === DEFAULT_POLICY) ensureDefaultPolicy(content);
  const origins = applyOverrides(content, env, String(defaultPolicy));

  const file = FILE.safeParse(content);
  if (!file.success) problems.push(...shapeProblems(file.error));
  problems.push(...nameProblems(content, String(defaultPolicy)));
  const keys = readKeys(content, env, problems);
  if (!file.success || problems.length > 0) {
    return { config: undefined, keys, problems: problems.map((problem) => withOrigin(problem, origins)) };
  }
  const settings = file.data;
  return { config: { settings, keys, policyTable: buildPolicyTable(settings), origins }, keys, problems };
}

function readYaml(text: string, problems: Problem[]): RawObject | undefined {
  const lines = new LineCounter();
  // Without `prettyErrors: false` a message would quote the line, which may hold what is secret.
  const document = parseDocument(text, { prettyErrors: false, lineCounter: lines });
  for (const { code, pos } of [...document.errors, ...document.warnings]) {
    const { line, col } = lines.linePos(pos[0]);
    const what = code.toLowerCase().replaceAll('_', ' ');
    problems.push({ path: `line ${line}, column ${col}`, message: `not valid YAML: ${what}` });
  }
  if (problems.length > 0) return undefined;
  try {
    const content: unknown = document.toJS() ?? {};
    if (isRawObject(content)) return content;
    problems.push({ path: 'line 1', message: 'must be a mapping of fields' });
  } catch {
    problems.push({ path: 'line 1', message: 'not valid YAML: an alias cannot be resolved' });
  }
  return undefined;
}

/** A file that says nothing of the default policy has one all the same: the strict defaults. */
function ensureDefaultPolicy(content: RawObject): void {
  content['policies'] ??= {};
  const { policies } = content;
  if (isRawObject(policies) && !Object.hasOwn(policies, DEFAULT_POLICY)) policies[DEFAULT_POLICY] = {};
}

function shapeProblems(error: z.ZodError): Problem[] {
  return error.issues.flatMap((issue) => {
    const path = formatPath(issue.path);
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        path: path === '' ? key : `${path}.${key}`,
        message: 'unknown field',
      }));
    }
    if (issue.code === 'invalid_key') {
      return issue.issues.map(({ message }) => ({ path, message: `the name ${message}` }));
    }
    const message = issue.message.endsWith('received undefined')
      ? 'is required'
      : issue.message.replace(/^Invalid (input|option): /, '');
    return [{ path, message }];
  });
}

function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');
}

/** Names that must exist, or exist once. Looks at the raw content, so that it runs beside every other complaint. */
function nameProblems(content: RawObject, defaultPolicy: string): Problem[] {
  const problems: Problem[] = [];
  const policies = isRawObject(content['policies']) ? Object.keys(content['policies']) : [];
  const checkPolicy = (path: string, name: unknown): void => {
    if (typeof name !== 'string' || policies.includes(name)) return;
    problems.push({ path, message: `names no policy; there are: ${policies.join(', ') || 'none'}` });
  };
  checkPolicy('defaultPolicy', defaultPolicy);
  rawList(content, 'routes').forEach((route, index) => {
    checkPolicy(`routes[${index}].policy`, isRawObject(route) ? route['policy'] : undefined);
  });
  const ids = rawList(content, 'keys').map((key) => (isRawObject(key) ? key['id'] : undefined));
  ids.forEach((id, index) => {
    if (typeof id !== 'string' || ids.indexOf(id) === index) return;
    problems.push({ path: `keys[${index}].id`, message: `is taken by keys[${ids.indexOf(id)}]` });
  });
  return problems;
}

function readKeys(content: RawObject, env: Env, problems: Problem[]): readonly KeySource[] {
  const secret = readVariable(env, SECRET_VARIABLE);
  const secretFile = readVariable(env, SECRET_FILE_VARIABLE);
  const variable = secret === undefined ? SECRET_FILE_VARIABLE : SECRET_VARIABLE;
  const inFile = Object.hasOwn(content, 'keys');

  if (secret !== undefined && secretFile !== undefined) {
    problems.push({ path: SECRET_VARIABLE, message: `set together with ${SECRET_FILE_VARIABLE}: give one` });
    return [];
  }
  if (secret === undefined && secretFile === undefined) {
    if (!inFile) {
      problems.push({
        path: 'keys',
        message: `no key: set ${SECRET_VARIABLE}, ${SECRET_FILE_VARIABLE}, or keys in the file`,
      });
    }
    return rawList(content, 'keys').flatMap((raw, index) => {
      const key = KEY.safeParse(raw);
      return key.success ? [fileKey(key.data, `keys[${index}].secretFile`)] : [];
    });
  }
  if (inFile) problems.push({ path: 'keys', message: `set together with ${variable}: give one` });
  const source = { id: ENV_KEY_ID, kid: undefined, algorithms: ['HS256'], path: variable } as const;
  if (secretFile !== undefined) return [{ ...source, secret: { file: secretFile } }];
  try {
    return [{ ...source, secret: Secret.parse(secret ?? '') }];
  } catch (error) {
    if (!(error instanceof SecretError)) throw error;
    problems.push({ path: variable, message: error.message });
    return [];
  }
}

function fileKey(settings: KeySettings, path: string): KeySource {
  const { id, kid, algorithms, secretFile } = settings;
  return { id, kid, algorithms, secret: { file: secretFile }, path };
}

function rawList(content: RawObject, field: string): readonly unknown[] {
  const value = content[field];
  return Array.isArray(value) ? value : [];
}

function buildPolicyTable(settings: Settings): PolicyTable {
  const policies = new Map<string, Policy>();
  for (const [name, policy] of Object.entries(settings.policies))
    policies.set(name, buildPolicy(name, policy));
  const policyNamed = (name: string): Policy => {
    const policy = policies.get(name);
    if (policy === undefined) throw new ConfigError([{ path: 'policies', message: `${name} is not one` }]);
    return policy;
  };
  return {
    policies,
    defaultPolicy: policyNamed(settings.defaultPolicy),
    routes: settings.routes.map((route) => ({
      host: route.host === undefined ? undefined : normalizeHost(route.host),
      pathPrefix: route.pathPrefix?.replace(/\/$/, ''),
      methods: route.methods,
      policy: policyNamed(route.policy),
    })),
  };
}

function buildPolicy(name: string, settings: PolicySettings): Policy {
  return { ...settings, name, tokenPrefix: settings.tokenPrefix.toLowerCase() };
}
