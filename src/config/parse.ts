/** Parses a configuration file's text and the environment, and finds every problem in one go. */
import type { DeniedResponse } from '../authz/denied-response.ts';
import { normalizeHost } from '../authz/host.ts';
import { createPolicyTable, type Policy, type PolicyTable } from '../authz/policy.ts';
import type { Config, FileReferences, Problem } from './config.ts';
import { dropEmptySections } from './empty-sections.ts';
import {
  applyOverrides,
  type Env,
  isRawObject,
  misspeltVariables,
  type RawObject,
  rawList,
  readProxy,
  withOrigin,
} from './env.ts';
import { quoted } from './issue-messages.ts';
import { ENV_KEY_ID, hasEnvKey, readDecryptionKeys, readKeys, readMessageSigningKeys } from './keys.ts';
import { TLS, type TlsSettings } from './listen.ts';
import { messageSignatureProblems } from './message-signature-problems.ts';
import { REPLAY_STORE } from './message-signature-schema.ts';
import { nearest } from './nearest.ts';
import type { PolicySettings } from './policy-schema.ts';
import { DEFAULT_POLICY, FILE, OPTIONAL_SECTIONS, type Settings } from './schema.ts';
import { printableName, REPORT_INPUT, shapeProblems } from './shape-problems.ts';
import { takenMembers } from './taken-members.ts';
import { readYaml } from './yaml.ts';

/** With problems there is no `config`, but the files whose description is valid are still listed. */
export interface ParsedConfig {
  readonly config: Config | undefined;
  readonly references: FileReferences;
  readonly problems: readonly Problem[];
}

export const NO_REFERENCES: FileReferences = {
  keys: [],
  decryptionKeys: [],
  messageSigningKeys: [],
  replayStore: undefined,
  tls: undefined,
};

/** The files that a configuration names. */
export function referencesOf({ keys, decryptionKeys, messageSigningKeys, settings }: Config): FileReferences {
  const { replayStore, listen } = settings;
  return { keys, decryptionKeys, messageSigningKeys, replayStore, tls: listen.tls };
}

/**
 * Does not open the files that the configuration names.
 * @param text of the YAML file; `undefined` to use the environment alone.
 */
export function parseConfig(text: string | undefined, env: Env): ParsedConfig {
  let problems: Problem[] = [];
  const content = readYaml(text ?? '', problems);
  problems.push(...misspeltVariables(env));
  if (content === undefined) return { config: undefined, references: NO_REFERENCES, problems };

  dropEmptySections(content, OPTIONAL_SECTIONS);
  const { defaultPolicy = DEFAULT_POLICY } = content;
  if (defaultPolicy === DEFAULT_POLICY || typeof defaultPolicy !== 'string') ensureDefaultPolicy(content);
  fillEmptyPolicies(content);
  const origins = applyOverrides(content, env, String(defaultPolicy), problems);

  const file = FILE.safeParse(content, REPORT_INPUT);
  // Not pushed: a call with thousands of arguments overflows the stack.
  problems = [
    ...problems,
    ...(file.success ? [] : shapeProblems(file.error)),
    ...nameProblems(content, defaultPolicy),
    ...idProblems(content, env),
    ...messageSignatureProblems(content),
  ];
  const keys = readKeys(content, env, problems);
  const decryptionKeys = readDecryptionKeys(content);
  const messageSigningKeys = readMessageSigningKeys(content);
  const proxy = keys.some(({ location }) => 'url' in location) ? readProxy(env, problems) : undefined;
  const config =
    file.success && problems.length === 0
      ? {
          settings: file.data,
          keys,
          decryptionKeys,
          messageSigningKeys,
          policyTable: buildPolicyTable(file.data),
          proxy,
          origins,
        }
      : undefined;
  const replayStore = REPLAY_STORE.safeParse(content['replayStore']).data;
  return {
    config,
    references: { keys, decryptionKeys, messageSigningKeys, replayStore, tls: readTls(content) },
    problems: problems.map((problem) => withOrigin(problem, origins)),
  };
}

/** `undefined` if it is missing or invalid. */
function readTls({ listen }: RawObject): TlsSettings | undefined {
  return isRawObject(listen) ? TLS.safeParse(listen['tls']).data : undefined;
}

/** Without one in the file, the default policy has the strict defaults. */
function ensureDefaultPolicy(content: RawObject): void {
  content['policies'] ??= {};
  const { policies } = content;
  if (isRawObject(policies) && !Object.hasOwn(policies, DEFAULT_POLICY)) policies[DEFAULT_POLICY] = {};
}

/** So has a policy that is a name and nothing else. */
function fillEmptyPolicies({ policies }: RawObject): void {
  if (!isRawObject(policies)) return;
  for (const [name, policy] of Object.entries(policies)) policies[name] = policy ?? {};
}

/** How many names of policies a message lists. */
const MAX_KNOWN = 20;
/** With how many names of policies an unknown one is compared. */
const MAX_COMPARED = 200;

/** Finds names of policies that do not exist; in the raw content, so that schema errors do not hide them. */
function nameProblems(content: RawObject, defaultPolicy: unknown): Problem[] {
  // Reported by the schema.
  if (!isRawObject(content['policies'])) return [];
  const problems: Problem[] = [];
  const names = Object.keys(content['policies']);
  const policies = new Set(names);
  const known = names.slice(0, MAX_KNOWN).map(printableName);
  if (policies.size > MAX_KNOWN) known.push('…');
  const checkPolicy = (path: string, name: unknown): void => {
    if (typeof name !== 'string' || policies.has(name)) return;
    const meant = nearest(name, names.slice(0, MAX_COMPARED));
    const suggestion = meant === undefined ? '' : `did you mean ${printableName(meant)}? `;
    const value = quoted(name);
    const message = `unknown policy${value === undefined ? '' : ` ${value}`}; ${suggestion}known: ${known.join(', ')}`;
    problems.push({ path, message });
  };
  checkPolicy('defaultPolicy', defaultPolicy);
  rawList(content, 'routes').forEach((route, index) => {
    checkPolicy(`routes[${index}].policy`, isRawObject(route) ? route['policy'] : undefined);
  });
  return problems;
}

/** Finds ids used twice; keys of all kinds share the metrics' label `key_id`. */
function idProblems(content: RawObject, env: Env): readonly Problem[] {
  const reserved = new Map(hasEnvKey(env) ? [[ENV_KEY_ID, 'the key of the environment']] : []);
  return takenMembers(content, ['keys', 'decryptionKeys', 'messageSigningKeys'], 'id', reserved);
}

function buildPolicyTable(settings: Settings): PolicyTable {
  const policies = new Map<string, Policy>();
  for (const [name, policy] of Object.entries(settings.policies))
    policies.set(name, buildPolicy(name, policy, settings.denied));
  const policyNamed = (name: string): Policy => {
    const policy = policies.get(name);
    if (policy === undefined) throw new Error(`no policy ${name}, which nameProblems should have reported`);
    return policy;
  };
  const routes = settings.routes.map((route) => ({
    host: route.host === undefined ? undefined : normalizeHost(route.host),
    pathPrefix: route.pathPrefix?.replace(/\/$/, ''),
    methods: route.methods,
    policy: policyNamed(route.policy),
  }));
  return createPolicyTable(policies, policyNamed(settings.defaultPolicy), routes);
}

function buildPolicy(name: string, settings: PolicySettings, denied: DeniedResponse): Policy {
  return {
    ...settings,
    name,
    enforcePercent: settings.mode === 'enforce' ? settings.enforcePercent : undefined,
    tokenPrefix: settings.tokenPrefix.toLowerCase(),
    messageSignature: settings.messageSignature && {
      ...settings.messageSignature,
      tokenHeader: settings.tokenHeader,
    },
    denied: settings.denied && mergeDenied(denied, settings.denied),
  };
}

/** A policy overrides the top-level `denied` field by field. */
function mergeDenied(denied: DeniedResponse, own: NonNullable<PolicySettings['denied']>): DeniedResponse {
  return {
    status: own.status ?? denied.status,
    body: own.body ?? denied.body,
    contentType: own.contentType ?? denied.contentType,
    exposeReason: own.exposeReason ?? denied.exposeReason,
    headers: own.headers ?? denied.headers,
  };
}
