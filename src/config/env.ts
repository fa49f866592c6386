/** Reads environment variables: each overrides one value of the file, or sets the key. */
import type { HttpProxy, Problem } from './config.ts';
import { nearest } from './nearest.ts';

export type Env = Readonly<Record<string, string | undefined>>;

export type RawObject = Record<string, unknown>;

export const SECRET_VARIABLE = 'APPROOV_BASE64_SECRET';
export const SECRET_FILE_VARIABLE = 'APPROOV_BASE64_SECRET_FILE';

/** Upper and lower case, as in other programs; lower case wins. */
const PROXY_VARIABLES = ['https_proxy', 'HTTPS_PROXY'] as const;
const NO_PROXY_VARIABLES = ['no_proxy', 'NO_PROXY'] as const;

/** The value is never quoted, as it may contain a password. */
export function readProxy(env: Env, problems: Problem[]): HttpProxy | undefined {
  const variable = PROXY_VARIABLES.find((name) => readVariable(env, name) !== undefined);
  const text = variable && readVariable(env, variable);
  if (variable === undefined || text === undefined) return undefined;
  const url = text.includes('://') ? text : `http://${text}`;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    const message = 'must be the URL of an HTTP proxy, such as http://proxy.example.com:3128';
    problems.push({ path: variable, message });
    return undefined;
  }
  const except = NO_PROXY_VARIABLES.map((name) => readVariable(env, name)).find(
    (value) => value !== undefined,
  );
  return { url, except: except ?? '' };
}

interface Override {
  readonly variable: string;
  /** It sets a field of the default policy, and does not create one. */
  readonly isPolicyField?: true;
  path(defaultPolicy: string): readonly string[];
  value(text: string): unknown;
}

const verbatim = (text: string) => text;

const OVERRIDES: readonly Override[] = [
  {
    variable: 'APPROOV_MODE',
    isPolicyField: true,
    path: (policy) => ['policies', policy, 'mode'],
    value: verbatim,
  },
  {
    variable: 'APPROOV_BINDING_HEADER',
    isPolicyField: true,
    path: (policy) => ['policies', policy, 'binding'],
    value: (header) => ({ headers: [header], when: 'if-present' }),
  },
  { variable: 'APPROOV_GRPC_LISTEN', path: () => ['listen', 'grpc'], value: verbatim },
  { variable: 'APPROOV_ADMIN_LISTEN', path: () => ['listen', 'admin'], value: verbatim },
  { variable: 'LOG_LEVEL', path: () => ['log', 'level'], value: verbatim },
];

/** An empty variable counts as not set: compose files and charts leave unused ones empty. */
export function readVariable(env: Env, variable: string): string | undefined {
  return env[variable] || undefined;
}

const OUR_VARIABLES = [
  SECRET_VARIABLE,
  SECRET_FILE_VARIABLE,
  'APPROOV_CONFIG',
  ...OVERRIDES.map(({ variable }) => variable).filter((variable) => variable.startsWith('APPROOV_')),
];
/** The role of the Approov CLI, and the variables that Kubernetes sets for a Service whose name resembles ours. */
const OTHER_VARIABLES = /^APPROOV_ROLE$|_SERVICE_HOST$|_PORT(_|$)/;
/** Names of this length or shorter are too close to each other for two edits. */
const ONE_EDIT_LENGTH = 16;

/** Finds variables that would be silently ignored though they were meant to be one of ours. */
export function misspeltVariables(env: Env): readonly Problem[] {
  return Object.keys(env).flatMap((variable) => {
    const isOther = OUR_VARIABLES.includes(variable) || OTHER_VARIABLES.test(variable);
    if (isOther || readVariable(env, variable) === undefined) return [];
    const meant = nearest(variable, OUR_VARIABLES, ONE_EDIT_LENGTH);
    return meant === undefined
      ? []
      : [{ path: variable, message: `unknown variable; did you mean ${meant}?` }];
  });
}

/** Finds what `docker run --env-file` keeps in a value: quotes and carriage returns, which no value of ours contains. */
export function valueProblem(text: string): string | undefined {
  const problems = [
    ...(/^(["']).*\1$/s.test(text.trim()) ? ['is in quotes: remove them'] : []),
    ...(text.includes('\r')
      ? ['contains a carriage return, as a file with Windows line ends leaves it: remove it']
      : []),
  ];
  return problems.length === 0 ? undefined : problems.join('; ');
}

/**
 * Overrides values of the file's content.
 * @param problems is added to.
 * @returns the variable that set each value, by the value's path.
 */
export function applyOverrides(
  content: RawObject,
  env: Env,
  defaultPolicy: string,
  problems: Problem[],
): Map<string, string> {
  const origins = new Map<string, string>();
  for (const override of OVERRIDES) {
    const text = readVariable(env, override.variable);
    if (text === undefined) continue;
    const problem = valueProblem(text);
    if (problem !== undefined) {
      problems.push({ path: override.variable, message: problem });
      continue;
    }
    const path = override.path(defaultPolicy);
    const parent = override.isPolicyField
      ? existingPolicy(content, defaultPolicy)
      : childObject(content, path.slice(0, -1));
    const field = path.at(-1);
    // A parent that is not an object is left as it is: the schema reports it.
    if (parent === undefined || field === undefined) continue;
    parent[field] = override.value(text);
    origins.set(path.join('.'), override.variable);
  }
  return origins;
}

/** Names the variable that caused a problem in place of the field that it sets. */
export function withOrigin(problem: Problem, origins: ReadonlyMap<string, string>): Problem {
  for (const [path, variable] of origins) {
    if (problem.path === path || problem.path.startsWith(`${path}.`)) {
      return { ...problem, path: variable };
    }
  }
  return problem;
}

export function isRawObject(value: unknown): value is RawObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The list in a field; empty if it is missing, or not a list, which the schema reports. */
export function rawList(content: RawObject, field: string): readonly unknown[] {
  const value = content[field];
  return Array.isArray(value) ? value : [];
}

function existingPolicy(content: RawObject, name: string): RawObject | undefined {
  const { policies } = content;
  const policy = isRawObject(policies) && Object.hasOwn(policies, name) ? policies[name] : undefined;
  if (!isRawObject(policies) || !isRawObject(policy)) return undefined;
  // A copy: with a YAML alias another policy may share the object.
  const own = { ...policy };
  policies[name] = own;
  return own;
}

function childObject(content: RawObject, path: readonly string[]): RawObject | undefined {
  let object = content;
  for (const field of path) {
    const child = Object.hasOwn(object, field) ? object[field] : {};
    if (!isRawObject(child)) return undefined;
    const own = { ...child };
    object[field] = own;
    object = own;
  }
  return object;
}
