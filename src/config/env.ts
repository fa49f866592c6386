/** Owns the environment variables: each overrides one value of the file, or gives the key. */
import type { HttpProxy, Problem } from './config.ts';

export type Env = Readonly<Record<string, string | undefined>>;

export type RawObject = Record<string, unknown>;

export const SECRET_VARIABLE = 'APPROOV_BASE64_SECRET';
export const SECRET_FILE_VARIABLE = 'APPROOV_BASE64_SECRET_FILE';

/** In either case, as other programs read them; the lower case wins. */
const PROXY_VARIABLES = ['https_proxy', 'HTTPS_PROXY'] as const;
const NO_PROXY_VARIABLES = ['no_proxy', 'NO_PROXY'] as const;

/** The proxy that the environment names. Its value is never repeated, as it may hold a password. */
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
  /** It sets a field of the default policy, which must be there already: to name one that is not is an error. */
  readonly isOfPolicy?: true;
  path(defaultPolicy: string): readonly string[];
  value(text: string): unknown;
}

const asIs = (text: string) => text;

const OVERRIDES: readonly Override[] = [
  { variable: 'APPROOV_MODE', isOfPolicy: true, path: (policy) => ['policies', policy, 'mode'], value: asIs },
  {
    variable: 'APPROOV_BINDING_HEADER',
    isOfPolicy: true,
    path: (policy) => ['policies', policy, 'binding'],
    value: (header) => ({ headers: [header], when: 'if-present' }),
  },
  { variable: 'APPROOV_GRPC_LISTEN', path: () => ['listen', 'grpc'], value: asIs },
  { variable: 'APPROOV_ADMIN_LISTEN', path: () => ['listen', 'admin'], value: asIs },
  { variable: 'LOG_LEVEL', path: () => ['log', 'level'], value: asIs },
];

/** A variable's value; one that is empty counts as not set, as compose files and charts leave it so. */
export function readVariable(env: Env, variable: string): string | undefined {
  return env[variable] || undefined;
}

/** What a file of variables, as `docker run --env-file` reads one, has left in a value; no value of ours holds it. */
export function valueProblem(text: string): string | undefined {
  const problems = [
    ...(/^(["']).*\1$/s.test(text.trim()) ? ['stands in quotes: give it without them'] : []),
    ...(text.includes('\r')
      ? ['holds a carriage return, as a file with Windows line ends leaves it: remove it']
      : []),
  ];
  return problems.length === 0 ? undefined : problems.join('; ');
}

/**
 * Puts the variables' values into the file's content.
 * @param problems takes what is wrong with a value, whichever field it is for.
 * @returns the variable that each value came from, by its path.
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
    const parent = override.isOfPolicy
      ? existingPolicy(content, defaultPolicy)
      : childObject(content, path.slice(0, -1));
    const field = path.at(-1);
    // What is no object where one belongs is left as it is: reading it will say so.
    if (parent === undefined || field === undefined) continue;
    parent[field] = override.value(text);
    origins.set(path.join('.'), override.variable);
  }
  return origins;
}

/** Says of a problem which variable caused it. */
export function withOrigin(problem: Problem, origins: ReadonlyMap<string, string>): Problem {
  for (const [path, variable] of origins) {
    if (problem.path === path || problem.path.startsWith(`${path}.`)) {
      return { path: problem.path, message: `${problem.message} (set by ${variable})` };
    }
  }
  return problem;
}

export function isRawObject(value: unknown): value is RawObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A field's list, or none where it is missing or no list: reading the shape says that. */
export function rawList(content: RawObject, field: string): readonly unknown[] {
  const value = content[field];
  return Array.isArray(value) ? value : [];
}

function existingPolicy(content: RawObject, name: string): RawObject | undefined {
  const { policies } = content;
  const policy = isRawObject(policies) && Object.hasOwn(policies, name) ? policies[name] : undefined;
  if (!isRawObject(policies) || !isRawObject(policy)) return undefined;
  // A copy: a YAML alias may share the object with another policy, which the variable does not name.
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
