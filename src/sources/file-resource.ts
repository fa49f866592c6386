/** Owns the resources of a configuration that are made of files: how each is loaded, and its last good state. */
import { createHash } from 'node:crypto';
import type { DecryptionKey } from '../approov/encrypted-token.ts';
import type { Config, DecryptionKeyConfig, KeyConfig, Problem } from '../config/config.ts';
import { parseCa, parseTls, TlsError, type TlsMaterial } from '../net/tls-material.ts';
import type { CompleteFiles } from './complete-files.ts';
import { KeyError, type ParsedKeys, parseDecryptionKey, parseKeys } from './key-parser.ts';
import { type FileText, linkTarget, readTextFile } from './text-file.ts';

/** The kinds of files, each counted and shown apart. */
export const FILE_KINDS = ['config', 'keys', 'jwks', 'tls'] as const;
export type FileKind = (typeof FILE_KINDS)[number];

/** Something that is made of the content of files, such as a key. */
export interface FileResource<T = unknown> {
  readonly kind: FileKind;
  /** Its whole description in the configuration: with another one it is another resource. */
  readonly identity: string;
  readonly path: string;
  readonly files: readonly string[];
  /** @throws {KeyError | TlsError} what is wrong with the content. */
  parse(texts: readonly string[]): T;
}

/** A resource in its last good state. */
export interface LoadedResource {
  readonly kind: FileKind;
  readonly digest: string;
  readonly value: unknown;
}

type Tls = Config['settings']['listen']['tls'];

/** Every resource that keys, decryption keys and TLS are made of; a key that is no file's is none. */
export function resourcesOf(
  keys: readonly KeyConfig[],
  decryptionKeys: readonly DecryptionKeyConfig[],
  tls: Tls,
): readonly FileResource[] {
  return [
    ...keys.map(keyResource),
    ...keys.map(caPart),
    ...decryptionKeys.map(decryptionKeyResource),
    tlsResource(tls),
  ].filter((resource) => resource !== undefined);
}

export function keyResource(source: KeyConfig): FileResource<ParsedKeys> | undefined {
  if (!('file' in source.location)) return undefined;
  return {
    kind: source.format === 'jwks' ? 'jwks' : 'keys',
    identity: JSON.stringify({ ...source, path: undefined }),
    path: source.path,
    files: [source.location.file],
    parse: ([text = '']) => parseKeys(source, text),
  };
}

export function caPart({ location: from, path }: KeyConfig): FileResource<string> | undefined {
  if (!('url' in from) || from.caFile === undefined) return undefined;
  return {
    kind: 'tls',
    identity: JSON.stringify({ caFile: from.caFile }),
    path: path.replace(/jwksUrl$/, 'caFile'),
    files: [from.caFile],
    parse: ([text = '']) => parseCa(text),
  };
}

export function decryptionKeyResource(source: DecryptionKeyConfig): FileResource<DecryptionKey> {
  return {
    kind: 'keys',
    identity: JSON.stringify({ ...source, path: undefined }),
    path: source.path,
    files: [source.file],
    parse: ([text = '']) => parseDecryptionKey(source, text),
  };
}

export function tlsResource(tls: Tls): FileResource<TlsMaterial> | undefined {
  if (tls === undefined) return undefined;
  return {
    kind: 'tls',
    identity: JSON.stringify(tls),
    path: 'listen.tls',
    files: [tls.certFile, tls.keyFile, ...(tls.clientCaFile === undefined ? [] : [tls.clientCaFile])],
    parse: ([cert = '', key = '', clientCa]) => parseTls(cert, key, clientCa),
  };
}

/** What became of the resources. */
export interface LoadedResources {
  readonly good: ReadonlyMap<string, LoadedResource>;
  /** Parts that are bad now and serve in their last good state. */
  readonly stale: ReadonlyMap<FileKind, readonly Problem[]>;
  /** Parts that are bad now and never were good. */
  readonly fatal: readonly Problem[];
  /** Whether a resource that was not there before has a file that may be half-written. */
  readonly isIncomplete: boolean;
}

/** What was loaded before: the resources by their identity, and what was wrong with some. */
export interface PartsBefore {
  readonly resources: ReadonlyMap<string, LoadedResource>;
  readonly problems: ReadonlyMap<FileKind, readonly Problem[]>;
}

const NOTHING_BEFORE: PartsBefore = { resources: new Map(), problems: new Map() };

/** Loads resources; one that is bad now, or incomplete, keeps its state from before. */
export async function loadResources(
  resources: readonly FileResource[],
  reader: FileReader,
  before: PartsBefore = NOTHING_BEFORE,
): Promise<LoadedResources> {
  const good = new Map<string, LoadedResource>();
  const stale = new Map<FileKind, Problem[]>();
  const fatal: Problem[] = [];
  let isIncomplete = false;
  for (const resource of resources) {
    const last = before.resources.get(resource.identity);
    const readings = await Promise.all(resource.files.map((file) => reader.read(file)));
    const isWritten = readings.some((reading) => reading.isIncomplete);
    if (isWritten && last === undefined) {
      isIncomplete = true;
      continue;
    }
    const next = isWritten
      ? problemsBefore(resource, before)
      : parseResource(
          resource,
          readings.map(({ text }) => text),
          last,
        );
    if ('value' in next) {
      good.set(resource.identity, next);
    } else if (last === undefined) {
      fatal.push(...next);
    } else {
      good.set(resource.identity, last);
      if (next.length > 0) stale.set(resource.kind, [...(stale.get(resource.kind) ?? []), ...next]);
    }
  }
  return { good, stale, fatal, isIncomplete };
}

function problemsBefore({ kind, path }: FileResource, { problems }: PartsBefore): readonly Problem[] {
  return (problems.get(kind) ?? []).filter((problem) => problem.path === path);
}

function parseResource(
  resource: FileResource,
  texts: readonly FileText[],
  last: LoadedResource | undefined,
): LoadedResource | readonly Problem[] {
  const { kind, path, files } = resource;
  const unread = texts.flatMap((text) => ('problem' in text ? [{ path, message: text.problem }] : []));
  if (unread.length > 0) return unread;
  const digest = digestOf(...texts);
  if (last?.digest === digest) return last;
  try {
    const value = resource.parse(texts.map((text) => ('text' in text ? text.text : '')));
    return { kind, digest, value };
  } catch (error) {
    if (!(error instanceof KeyError || error instanceof TlsError)) throw error;
    return [{ path, message: `${files.join(', ')}: ${error.message}` }];
  }
}

/** What reading a file found. */
export interface Reading {
  readonly text: FileText;
  /** It has changed since it was last taken, and may be half-written. */
  readonly isIncomplete: boolean;
}

/** Reads each file once in a look, so that all that is made of it agrees. */
export class FileReader {
  readonly #files: CompleteFiles;
  readonly #taken: ReadonlyMap<string, string>;
  readonly #isDeclared: boolean;
  readonly #readings = new Map<string, Promise<Reading>>();
  readonly #digests = new Map<string, string>();

  /**
   * @param taken the digest of each file as it was last taken.
   * @param isDeclared the operator says that every file is complete.
   */
  constructor(files: CompleteFiles, taken: ReadonlyMap<string, string>, isDeclared: boolean) {
    this.#files = files;
    this.#taken = taken;
    this.#isDeclared = isDeclared;
  }

  read(file: string): Promise<Reading> {
    const reading = this.#readings.get(file) ?? this.#readNow(file);
    this.#readings.set(file, reading);
    return reading;
  }

  async #readNow(file: string): Promise<Reading> {
    const target = await linkTarget(file);
    const text = await readTextFile(file);
    const digest = digestOf(text);
    const isComplete = this.#files.isComplete(file, { digest, target });
    const taken = this.#taken.get(file);
    const isIncomplete = !(this.#isDeclared || isComplete || digest === taken);
    if (!isIncomplete) this.#digests.set(file, digest);
    else if (taken !== undefined) this.#digests.set(file, taken);
    return { text, isIncomplete };
  }

  /** Of each file that was read and is complete; else as it was last taken. */
  get digests(): ReadonlyMap<string, string> {
    return this.#digests;
  }
}

export function digestOf(...texts: readonly (FileText | undefined)[]): string {
  return createHash('sha256').update(JSON.stringify(texts)).digest('base64');
}
