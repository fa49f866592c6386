/** Owns what the service runs on, as its files have it now: configuration, keys and certificates, each in its last good state. */
import { type DecryptionKey, isSameChoice } from '../approov/encrypted-token.ts';
import type { VerificationKey } from '../approov/keyset.ts';
import {
  type Config,
  ConfigError,
  type DecryptionKeyConfig,
  type KeyConfig,
  type Problem,
} from '../config/config.ts';
import type { Env } from '../config/env.ts';
import { type ParsedConfig, parseConfig } from '../config/parse.ts';
import type { TlsMaterial } from '../net/tls-material.ts';
import { CompleteFiles } from './complete-files.ts';
import {
  caPart,
  decryptionKeyResource,
  digestOf,
  FILE_KINDS,
  type FileKind,
  FileReader,
  type FileResource,
  keyResource,
  type LoadedResource,
  type LoadedResources,
  loadResources,
  resourcesOf,
  tlsResource,
} from './file-resource.ts';
import { keysOfSecret } from './key-parser.ts';
import type { FileText } from './text-file.ts';

/** A configured key with what its source holds; `undefined` where the source is a URL, which is not read here. */
export interface LoadedKey {
  readonly config: KeyConfig;
  readonly keys: readonly VerificationKey[] | undefined;
  /** What its owner should know of what the source holds. */
  readonly warnings: readonly string[];
  /** What `caFile` holds. */
  readonly ca: string | undefined;
}

export interface LoadedConfig {
  readonly config: Config;
  readonly keys: readonly LoadedKey[];
  readonly decryptionKeys: readonly DecryptionKey[];
  /** `undefined`: the listener speaks without TLS. */
  readonly tls: TlsMaterial | undefined;
}

export type ProblemsByKind = ReadonlyMap<FileKind, readonly Problem[]>;

/** What a look at the files found: new content in use, or new reasons why content is not. */
export interface Outcome {
  readonly kind: FileKind;
  /** None: what is new is good and in use. */
  readonly problems: readonly Problem[];
}

export interface ConfigStore {
  current(): LoadedConfig;
  /** What is wrong with the files now, while the last good state of each serves. */
  problems(): ProblemsByKind;
  /**
   * Looks at every file; takes what is new and good, once it is complete.
   * @param isDeclared the operator says that every file is complete, by SIGHUP.
   */
  refresh(isDeclared: boolean): Promise<readonly Outcome[]>;
}

/**
 * Reads everything once.
 * @param file the YAML file; `undefined` to start on the environment alone.
 * @throws {ConfigError} with every problem of file, environment, keys and certificates.
 */
export async function loadConfig(file: string | undefined, env: Env): Promise<LoadedConfig> {
  const reader = new FileReader(new CompleteFiles(() => 0), new Map(), true);
  return (await look(file, env, reader, undefined)).configuration;
}

/** Reads everything, to be looked at again later. @throws {ConfigError} as {@link loadConfig}. */
export async function openConfigStore(
  file: string | undefined,
  env: Env,
  nowMs: () => number = () => performance.now(),
): Promise<ConfigStore> {
  const complete = new CompleteFiles(nowMs);
  let state = await look(file, env, new FileReader(complete, new Map(), true), undefined);
  return {
    current: () => state.configuration,
    problems: () => state.problems,
    async refresh(isDeclared) {
      const reader = new FileReader(complete, state.digests, isDeclared);
      if (await isUnchanged(state.digests, reader)) return [];
      const before = state;
      state = await look(file, env, reader, before);
      return FILE_KINDS.flatMap((kind) => outcomesOf(kind, before, state));
    },
  };
}

interface State {
  readonly configuration: LoadedConfig;
  readonly problems: ProblemsByKind;
  /** The last good value of each resource, by the resource's identity. */
  readonly resources: ReadonlyMap<string, LoadedResource>;
  /** What was taken, to see whether any of it has changed. */
  readonly digests: ReadonlyMap<string, string>;
  readonly configDigest: string;
}

async function look(
  file: string | undefined,
  env: Env,
  reader: FileReader,
  before: State | undefined,
): Promise<State> {
  const reading = file === undefined ? undefined : await reader.read(file);
  // Even if incomplete: the files that it names are read from now on, so that they settle at the same time.
  const parsed = parseText(reading?.text, env);
  const resources = resourcesOf(parsed.keys, parsed.decryptionKeys, parsed.tls);
  const next = await loadResources(resources, reader, before);
  const configProblems = [...parsed.problems, ...next.fatal, ...choiceProblems(parsed.decryptionKeys, next)];
  const isIncomplete = reading?.isIncomplete === true || next.isIncomplete;
  if (!isIncomplete && parsed.config !== undefined && configProblems.length === 0) {
    return buildState(parsed.config, next, reader.digests, digestOf(reading?.text), []);
  }
  if (before === undefined) throw new ConfigError(configProblems);
  const { config } = before.configuration;
  const lastResources = resourcesOf(config.keys, config.decryptionKeys, config.settings.listen.tls);
  const last = await loadResources(lastResources, reader, before);
  if (!isIncomplete) return buildState(config, last, reader.digests, before.configDigest, configProblems);
  // Not taken, even if only a file that it names is incomplete: the next refresh tries again.
  const digests = new Map(reader.digests).set(file ?? '', NOT_TAKEN);
  return buildState(config, last, digests, before.configDigest, before.problems.get('config') ?? []);
}

/** The digest of nothing that can be read. */
const NOT_TAKEN = '';

/** A check decrypts once, so of two keys that the same token chooses the second would never be used. */
function choiceProblems(
  sources: readonly DecryptionKeyConfig[],
  { good }: LoadedResources,
): readonly Problem[] {
  const loaded = sources.flatMap((source) => {
    const key = good.get(decryptionKeyResource(source).identity)?.value as DecryptionKey | undefined;
    return key === undefined ? [] : [key];
  });
  return loaded.flatMap((key, index) => {
    const first = loaded.slice(0, index).find((other) => isSameChoice(other, key));
    if (first === undefined) return [];
    const message = `${key.id} would never be used: tokens that it opens are decrypted with ${first.id}; give each a kid`;
    return [{ path: 'decryptionKeys', message }];
  });
}

/** What the operator should know of the keys that open tokens; holds nothing of a key. */
export function decryptionWarnings({ config, decryptionKeys }: LoadedConfig): readonly string[] {
  return decryptionKeys.flatMap(({ warning }, index) =>
    warning === undefined ? [] : [`${config.decryptionKeys[index]?.path}: ${warning}`],
  );
}

function parseText(text: FileText | undefined, env: Env): ParsedConfig {
  if (text === undefined || 'text' in text) return parseConfig(text?.text, env);
  return {
    config: undefined,
    keys: [],
    decryptionKeys: [],
    tls: undefined,
    problems: [unreadable(text.problem)],
  };
}

function unreadable(problem: string): Problem {
  return { path: 'configuration file', message: problem };
}

function buildState(
  config: Config,
  loaded: LoadedResources,
  digests: ReadonlyMap<string, string>,
  configDigest: string,
  configProblems: readonly Problem[],
): State {
  const value = <T>(resource: FileResource<T>): T => loaded.good.get(resource.identity)?.value as T;
  const tls = tlsResource(config.settings.listen.tls);
  return {
    configuration: {
      config,
      keys: config.keys.map((key) => ({ config: key, ...loadedKeys(key, value) })),
      decryptionKeys: config.decryptionKeys.map((source) => value(decryptionKeyResource(source))),
      tls: tls && value(tls),
    },
    problems: new Map(
      FILE_KINDS.map((kind) => [kind, kind === 'config' ? configProblems : (loaded.stale.get(kind) ?? [])]),
    ),
    resources: loaded.good,
    digests,
    configDigest,
  };
}

function loadedKeys(
  source: KeyConfig,
  value: <T>(resource: FileResource<T>) => T,
): Omit<LoadedKey, 'config'> {
  const ca = caPart(source);
  const rest = { warnings: [], ca: ca && value(ca) };
  if ('secret' in source.location) return { ...rest, ...keysOfSecret(source, source.location.secret) };
  const resource = keyResource(source);
  return resource === undefined ? { ...rest, keys: undefined } : { ...rest, ...value(resource) };
}

function outcomesOf(kind: FileKind, before: State, after: State): readonly Outcome[] {
  const problems = after.problems.get(kind) ?? [];
  const isNewProblem =
    problems.length > 0 && JSON.stringify(problems) !== JSON.stringify(before.problems.get(kind));
  const isRecovered = problems.length === 0 && (before.problems.get(kind)?.length ?? 0) > 0;
  const isNew = contentOf(kind, before) !== contentOf(kind, after);
  return [
    ...(isNew || isRecovered ? [{ kind, problems: [] }] : []),
    ...(isNewProblem ? [{ kind, problems }] : []),
  ];
}

/** Tells one good state of a kind from another. */
function contentOf(kind: FileKind, state: State): string {
  if (kind === 'config') return state.configDigest;
  return [...state.resources]
    .filter(([, resource]) => resource.kind === kind)
    .map(([identity, { digest }]) => identity + digest)
    .join();
}

/** By content and not by time stamps: a symlink that Kubernetes swaps, a rename and an edit in place all look alike then. */
async function isUnchanged(digests: ReadonlyMap<string, string>, reader: FileReader): Promise<boolean> {
  for (const [file, digest] of digests) {
    if (digestOf((await reader.read(file)).text) !== digest) return false;
  }
  return true;
}
