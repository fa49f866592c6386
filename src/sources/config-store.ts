/** Keeps configuration, keys and certificates loaded from their files, each in its last good state. */
import {
  type Config,
  ConfigError,
  type FileReferences,
  limitProblems,
  type Problem,
  RELOAD_SOURCES,
  type ReloadSource,
} from '../config/config.ts';
import type { Env } from '../config/env.ts';
import { NO_REFERENCES, type ParsedConfig, parseConfig, referencesOf } from '../config/parse.ts';
import { placeProblems } from '../config/places.ts';
import { redisProblem } from '../replay/redis-connection.ts';
import { digestOf, FileReader } from './file-reader.ts';
import { type LoadedResource, type LoadedResources, loadResources, resourcesOf } from './file-resource.ts';
import {
  assembleConfig,
  findUnusedDecryptionKeys,
  keepPolicyTable,
  type LoadedConfig,
} from './loaded-config.ts';
import { StableFiles } from './stable-files.ts';
import type { FileText } from './text-file.ts';

/** The result of reloading one source: new content is loaded, or the reasons why it is not changed. */
export interface ReloadOutcome {
  readonly source: ReloadSource;
  /** Empty if the new content is in use. */
  readonly problems: readonly Problem[];
}

export interface ConfigStore {
  /** `undefined`: the environment alone. */
  readonly file: string | undefined;
  current(): LoadedConfig;
  /** What is wrong with the files now, while each serves its last good state. */
  currentProblems(): ReadonlyMap<ReloadSource, readonly Problem[]>;
  /** Adds to problems of the current configuration where in the file they are. */
  place(problems: readonly Problem[]): readonly Problem[];
  /** The files whose content was not what is in use when the last poll read them; it may be half-written. */
  changedFiles(): readonly string[];
  /**
   * Reads every file, and loads what changed, is valid and is not half-written.
   * @param areComplete the operator says that no file is half-written (SIGHUP).
   */
  poll(areComplete: boolean): Promise<readonly ReloadOutcome[]>;
}

/**
 * Loads everything once.
 * @param file the YAML file; `undefined` to use the environment alone.
 * @throws {ConfigError} with every problem of file, environment, keys and certificates.
 */
export async function loadConfig(file: string | undefined, env: Env): Promise<LoadedConfig> {
  const store = await openConfigStore(file, env);
  return store.current();
}

/** @throws {ConfigError} like {@link loadConfig}. */
export async function openConfigStore(
  file: string | undefined,
  env: Env,
  nowMs: () => number = () => performance.now(),
): Promise<ConfigStore> {
  const files = new StableFiles(nowMs);
  let state = await load(
    file,
    env,
    new FileReader({ files, usedDigests: new Map(), areComplete: true }),
    undefined,
  );
  let changedFiles: readonly string[] = [];
  return {
    file,
    current: () => state.loaded,
    currentProblems: () => state.problems,
    place: (problems) => placeIn(file, state.configText, problems),
    changedFiles: () => changedFiles,
    async poll(areComplete) {
      const reader = new FileReader({ files, usedDigests: state.digests, areComplete });
      changedFiles = await reader.changedFiles();
      if (changedFiles.length === 0) return [];
      const before = state;
      try {
        state = await load(file, env, reader, before);
      } catch (error) {
        state = afterException(error, before, reader);
      }
      return RELOAD_SOURCES.flatMap((source) => outcomesOf(source, before, state));
    },
  };
}

interface State {
  readonly loaded: LoadedConfig;
  readonly problems: ReadonlyMap<ReloadSource, readonly Problem[]>;
  /** In their last good state, by identity. */
  readonly resources: ReadonlyMap<string, LoadedResource>;
  /** Of the files in use, to tell whether any of them changed. */
  readonly digests: ReadonlyMap<string, string>;
  readonly configDigest: string;
  /** Of the file. */
  readonly configText: string | undefined;
}

function placeIn(
  file: string | undefined,
  text: string | undefined,
  problems: readonly Problem[],
): readonly Problem[] {
  return file === undefined || text === undefined ? problems : placeProblems(file, text, problems);
}

async function load(
  file: string | undefined,
  env: Env,
  reader: FileReader,
  before: State | undefined,
): Promise<State> {
  const reading = file === undefined ? undefined : await reader.read(file);
  // Even if it is incomplete: the files that it names are read from now on, so that all become stable together.
  const parsed = parseText(reading?.text, env);
  const text = reading?.text.kind === 'read' ? reading.text.text : undefined;
  const resources = resourcesOf(parsed.references);
  const next = await loadResources(resources, reader, before);
  const configProblems = limitProblems([
    ...parsed.problems,
    ...next.failed,
    ...findUnusedDecryptionKeys(parsed.references.decryptionKeys, next.loaded),
    ...(await findMissingPackage(parsed.references)),
  ]);
  const placedProblems = placeIn(file, text, configProblems);
  const isIncomplete = reading?.isIncomplete === true || next.isIncomplete;
  if (!isIncomplete && parsed.config !== undefined && configProblems.length === 0) {
    const configDigest = digestOf(reading?.text);
    // The environment does not change, so the same text is the same configuration.
    const config =
      configDigest === before?.configDigest
        ? before.loaded.config
        : keepPolicyTable(parsed.config, before?.loaded.config);
    const { digests } = reader;
    const parts = { config, configDigest, configText: text, configProblems: [], resources: next, digests };
    return buildState(file, parts, before);
  }
  if (before === undefined) throw new ConfigError(placedProblems);
  const { loaded, configDigest, configText } = before;
  const { config } = loaded;
  const last = await loadResources(resourcesOf(referencesOf(config)), reader, before);
  const kept = { config, configDigest, configText, resources: last };
  return isIncomplete
    ? buildState(file, { ...kept, ...retryOnNextPoll(file, reader, before) }, before)
    : buildState(file, { ...kept, configProblems: placedProblems, digests: reader.digests }, before);
}

/** The package of the replay store is optional. */
async function findMissingPackage({ replayStore }: FileReferences): Promise<readonly Problem[]> {
  const message = replayStore === undefined ? undefined : await redisProblem();
  return message === undefined ? [] : [{ path: 'replayStore', message }];
}

/** A bug must not have the same content loaded, and fail, on every poll. */
function afterException(error: unknown, before: State, reader: FileReader): State {
  const problem = { path: 'configuration', message: describeException(error) };
  return {
    ...before,
    problems: new Map(before.problems).set('config', [problem]),
    digests: new Map([...before.digests, ...reader.digests]),
  };
}

/** Says where a bug is, without its message, which may quote a secret. */
function describeException(error: unknown): string {
  const { name, message, stack = '' } = error instanceof Error ? error : new Error();
  const frame = /^\s+at (.*)$/m.exec(stack.replace(message, ''))?.[1];
  return `internal error: ${name} at ${frame ?? 'an unknown place'}`;
}

/** Even if only a file that the configuration names is incomplete. */
function retryOnNextPoll(file: string | undefined, reader: FileReader, before: State) {
  return {
    configProblems: before.problems.get('config') ?? [],
    digests: new Map(reader.digests).set(file ?? '', NOT_IN_USE),
  };
}

/** No content has this digest. */
const NOT_IN_USE = '';

function parseText(text: FileText | undefined, env: Env): ParsedConfig {
  let message: string;
  if (text?.kind === 'unreadable') message = text.problem;
  else {
    try {
      return parseConfig(text?.text, env);
    } catch (error) {
      message = describeException(error);
    }
  }
  const problem = { path: 'configuration file', message };
  return { config: undefined, references: NO_REFERENCES, problems: [problem] };
}

interface StateParts extends Pick<State, 'configDigest' | 'configText' | 'digests'> {
  readonly config: Config;
  readonly configProblems: readonly Problem[];
  readonly resources: LoadedResources;
}

function buildState(file: string | undefined, parts: StateParts, before: State | undefined): State {
  const { config, configProblems, resources, configDigest, configText, digests } = parts;
  const { loaded, stale } = resources;
  return {
    loaded: assembleConfig(config, loaded, before?.loaded),
    problems: new Map(
      RELOAD_SOURCES.map((source) => [
        source,
        source === 'config'
          ? configProblems
          : placeIn(file, configText, limitProblems(stale.get(source) ?? [])),
      ]),
    ),
    resources: loaded,
    digests,
    configDigest,
    configText,
  };
}

function outcomesOf(source: ReloadSource, before: State, after: State): readonly ReloadOutcome[] {
  const problems = after.problems.get(source) ?? [];
  const isNewProblem =
    problems.length > 0 && JSON.stringify(problems) !== JSON.stringify(before.problems.get(source));
  const isRecovered = problems.length === 0 && (before.problems.get(source)?.length ?? 0) > 0;
  const isNew = contentOf(source, before) !== contentOf(source, after);
  return [
    ...(isNew || isRecovered ? [{ source, problems: [] }] : []),
    ...(isNewProblem ? [{ source, problems }] : []),
  ];
}

/** Tells good states of a source apart. */
function contentOf(source: ReloadSource, state: State): string {
  if (source === 'config') return state.configDigest;
  return [...state.resources]
    .filter(([, resource]) => resource.source === source)
    .map(([identity, { digest }]) => identity + digest)
    .join();
}
