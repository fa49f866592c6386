/** Loads the resources that a configuration makes of files, each of which keeps its last good state. */
import type { DecryptionKey } from '../approov/encrypted-token.ts';
import { KeyError } from '../approov/key-error.ts';
import type {
  DecryptionKeyConfig,
  FileReferences,
  KeyConfig,
  MessageSigningKeyConfig,
  Problem,
  ReloadSource,
} from '../config/config.ts';
import { parseCa, parseTls, TlsError, type TlsMaterial } from '../net/tls-material.ts';
import { digestOf, type FileReader } from './file-reader.ts';
import {
  keepSameDecryptionKey,
  keepSameKeys,
  type LoadedMessageSigningKey,
  type ParsedKeys,
  parseCredential,
  parseDecryptionKey,
  parseKeys,
  parseMessageSigningKey,
} from './key-parser.ts';
import type { FileText } from './text-file.ts';

/** A file, and the field of the configuration, or the variable, that names it. */
interface NamedFile {
  readonly path: string;
  readonly file: string;
  readonly part?: TlsError['part'];
}

/** A value made of the content of files, such as a key. */
export interface FileResource<T = unknown> {
  readonly source: ReloadSource;
  /** Its whole description in the configuration: another description is another resource. */
  readonly identity: string;
  readonly files: readonly NamedFile[];
  /**
   * @param last the last good value; returned again where the content still means the same.
   * @throws {KeyError | TlsError} the content cannot be used.
   */
  parse(texts: readonly string[], last: T | undefined): T;
}

/** A resource in its last good state. */
export interface LoadedResource {
  readonly source: ReloadSource;
  readonly digest: string;
  readonly value: unknown;
}

type Tls = FileReferences['tls'];
type ReplayStore = NonNullable<FileReferences['replayStore']>;

/** A secret in the environment and a key at a URL are not resources; the CA of a URL is. */
export function resourcesOf(references: FileReferences): readonly FileResource[] {
  const { keys, decryptionKeys, messageSigningKeys, replayStore, tls } = references;
  return [
    ...keys.map(keyResource),
    ...keys.map(caResource),
    ...decryptionKeys.map(decryptionKeyResource),
    ...messageSigningKeys.map(messageSigningKeyResource),
    ...(replayStore === undefined ? [] : Object.values(replayStoreResources(replayStore))),
    tlsResource(tls),
  ].filter((resource) => resource !== undefined);
}

/** The same for two keys with the same description, wherever they are in the configuration. */
export function identityOf(key: KeyConfig | DecryptionKeyConfig | MessageSigningKeyConfig): string {
  return JSON.stringify({ ...key, path: undefined });
}

export function keyResource(key: KeyConfig): FileResource<ParsedKeys> | undefined {
  if (!('file' in key.location)) return undefined;
  return {
    source: key.format === 'jwks' ? 'jwks' : 'keys',
    identity: identityOf(key),
    files: [{ path: key.path, file: key.location.file }],
    parse: ([text = ''], last) => keepSameKeys(parseKeys(key, text), last),
  };
}

export function caResource({ location, path }: KeyConfig): FileResource<string> | undefined {
  if (!('url' in location) || location.caFile === undefined) return undefined;
  return caFileResource(path.replace(/jwksUrl$/, 'caFile'), location.caFile);
}

function caFileResource(path: string, file: string): FileResource<string> {
  return {
    source: 'tls',
    identity: JSON.stringify({ caFile: file }),
    files: [{ path, file }],
    parse: ([text = '']) => parseCa(text),
  };
}

export function decryptionKeyResource(key: DecryptionKeyConfig): FileResource<DecryptionKey> {
  return {
    source: 'keys',
    identity: identityOf(key),
    files: [{ path: key.path, file: key.file }],
    parse: ([text = ''], last) => keepSameDecryptionKey(parseDecryptionKey(key, text), last),
  };
}

export function messageSigningKeyResource(
  key: MessageSigningKeyConfig,
): FileResource<LoadedMessageSigningKey> {
  return {
    source: 'keys',
    identity: identityOf(key),
    files: [{ path: key.path, file: key.file }],
    parse: ([text = ''], last) => parseMessageSigningKey(key, text, last),
  };
}

/** Of the files that are named: what they give the connection to the store. */
export function replayStoreResources(
  store: ReplayStore,
): Partial<Record<'ca' | 'username' | 'password', FileResource<string>>> {
  const { caFile, usernameFile, passwordFile } = store;
  return {
    ...(caFile && { ca: caFileResource('replayStore.caFile', caFile) }),
    ...(usernameFile && { username: credentialResource('usernameFile', usernameFile) }),
    ...(passwordFile && { password: credentialResource('passwordFile', passwordFile) }),
  };
}

function credentialResource(field: 'usernameFile' | 'passwordFile', file: string): FileResource<string> {
  const files = [{ path: `replayStore.${field}`, file }];
  const identity = JSON.stringify({ [field]: file });
  return { source: 'keys', identity, files, parse: ([text = '']) => parseCredential(text) };
}

export function tlsResource(tls: Tls): FileResource<TlsMaterial> | undefined {
  if (tls === undefined) return undefined;
  return {
    source: 'tls',
    identity: JSON.stringify(tls),
    files: [
      { path: 'listen.tls.certFile', file: tls.certFile, part: 'cert' },
      { path: 'listen.tls.keyFile', file: tls.keyFile, part: 'key' },
      ...(tls.clientCaFile === undefined
        ? []
        : [{ path: 'listen.tls.clientCaFile', file: tls.clientCaFile, part: 'clientCa' } as const]),
    ],
    parse: ([cert = '', key = '', clientCa]) => parseTls(cert, key, clientCa),
  };
}

export interface LoadedResources {
  /** In their last good state, by identity. */
  readonly loaded: ReadonlyMap<string, LoadedResource>;
  /** Problems of resources that keep their last good state. */
  readonly stale: ReadonlyMap<ReloadSource, readonly Problem[]>;
  /** Problems of resources that have never loaded. */
  readonly failed: readonly Problem[];
  /** Whether a resource that has never loaded has a file that may be half-written. */
  readonly isIncomplete: boolean;
}

/** What the previous load resulted in. */
interface PreviousResources {
  readonly resources: ReadonlyMap<string, LoadedResource>;
  readonly problems: ReadonlyMap<ReloadSource, readonly Problem[]>;
}

const NOTHING_LOADED: PreviousResources = { resources: new Map(), problems: new Map() };

/** A resource that is bad or incomplete keeps its state of `previous`. */
export async function loadResources(
  resources: readonly FileResource[],
  reader: FileReader,
  previous: PreviousResources = NOTHING_LOADED,
): Promise<LoadedResources> {
  const loaded = new Map<string, LoadedResource>();
  const stale = new Map<ReloadSource, Problem[]>();
  const failed: Problem[] = [];
  let isIncomplete = false;
  for (const resource of resources) {
    const last = previous.resources.get(resource.identity);
    const readings = await Promise.all(resource.files.map(({ file }) => reader.read(file)));
    const mayBeHalfWritten = readings.some((reading) => reading.isIncomplete);
    if (mayBeHalfWritten && last === undefined) {
      isIncomplete = true;
      continue;
    }
    const next = mayBeHalfWritten
      ? ({ kind: 'failed', problems: previousProblems(resource, previous) } as const)
      : loadResource(
          resource,
          readings.map(({ text }) => text),
          last,
        );
    if (next.kind === 'loaded') {
      loaded.set(resource.identity, next.resource);
    } else if (last === undefined) {
      failed.push(...next.problems);
    } else {
      loaded.set(resource.identity, last);
      if (next.problems.length > 0)
        stale.set(resource.source, [...(stale.get(resource.source) ?? []), ...next.problems]);
    }
  }
  return { loaded, stale, failed, isIncomplete };
}

function previousProblems(
  { source, files }: FileResource,
  { problems }: PreviousResources,
): readonly Problem[] {
  return (problems.get(source) ?? []).filter((problem) => files.some(({ path }) => problem.path === path));
}

type LoadResult =
  | { readonly kind: 'loaded'; readonly resource: LoadedResource }
  | { readonly kind: 'failed'; readonly problems: readonly Problem[] };

function loadResource(
  { source, files, parse }: FileResource,
  texts: readonly FileText[],
  last: LoadedResource | undefined,
): LoadResult {
  const contents: string[] = [];
  const problems: Problem[] = [];
  for (const [index, text] of texts.entries()) {
    if (text.kind === 'read') contents.push(text.text);
    else problems.push({ path: files[index]?.path ?? '', message: text.problem });
  }
  if (problems.length > 0) return { kind: 'failed', problems };
  const digest = digestOf(...texts);
  if (last?.digest === digest) return { kind: 'loaded', resource: last };
  try {
    return { kind: 'loaded', resource: { source, digest, value: parse(contents, last?.value) } };
  } catch (error) {
    if (!(error instanceof KeyError || error instanceof TlsError)) throw error;
    return { kind: 'failed', problems: [contentProblem(files, error)] };
  }
}

/** Names the file, and where in it the problem is if that is known. */
function contentProblem(files: readonly NamedFile[], error: KeyError | TlsError): Problem {
  const culprit = error instanceof TlsError ? files.find(({ part }) => part === error.part) : undefined;
  const { path, file } = culprit ?? files[0] ?? { path: '', file: '' };
  const { line, column } = error instanceof KeyError ? (error.position ?? {}) : {};
  const place = line === undefined ? file : `${file}:${line}:${column}`;
  return { path, message: `${place}: ${error.message}` };
}
