/** Owns the parts of a configuration that are made of files: how each is loaded, and its last good state. */
import { createHash } from 'node:crypto';
import type { DecryptionKey } from '../approov/encrypted-token.ts';
import type { Config, DecryptionKeySource, KeySource, Problem } from '../config/config.ts';
import { parseCa, parseTls, TlsError, type TlsMaterial } from '../net/tls-files.ts';
import type { CompleteFiles } from './complete-files.ts';
import { type FileText, linkTarget, readTextFile } from './files.ts';
import { KeyError, type ParsedKeys, parseDecryptionKey, parseKeys } from './key-files.ts';

/** The kinds of files, each counted and shown apart. */
export const FILE_KINDS = ['config', 'keys', 'jwks', 'tls'] as const;
export type FileKind = (typeof FILE_KINDS)[number];

/** Something that is made of the content of files, such as a key. */
export interface Part<T = unknown> {
  readonly kind: FileKind;
  /** Its whole description in the configuration: with another one it is another part. */
  readonly identity: string;
  readonly path: string;
  readonly files: readonly string[];
  /** @throws {KeyError | TlsError} what is wrong with the content. */
  parse(texts: readonly string[]): T;
}

/** A part in its last good state. */
export interface Good {
  readonly kind: FileKind;
  readonly digest: string;
  readonly value: unknown;
}

type Tls = Config['settings']['listen']['tls'];

/** Every part that keys, decryption keys and TLS are made of; a key that is no file's is none. */
export function partsOf(
  keys: readonly KeySource[],
  decryptionKeys: readonly DecryptionKeySource[],
  tls: Tls,
): readonly Part[] {
  return [
    ...keys.map(keyPart),
    ...keys.map(caPart),
    ...decryptionKeys.map(decryptionKeyPart),
    tlsPart(tls),
  ].filter((part) => part !== undefined);
}

export function keyPart(source: KeySource): Part<ParsedKeys> | undefined {
  if (!('file' in source.from)) return undefined;
  return {
    kind: source.source === 'jwks' ? 'jwks' : 'keys',
    identity: JSON.stringify({ ...source, path: undefined }),
    path: source.path,
    files: [source.from.file],
    parse: ([text = '']) => parseKeys(source, text),
  };
}

export function caPart({ from, path }: KeySource): Part<string> | undefined {
  if (!('url' in from) || from.caFile === undefined) return undefined;
  return {
    kind: 'tls',
    identity: JSON.stringify({ caFile: from.caFile }),
    path: path.replace(/jwksUrl$/, 'caFile'),
    files: [from.caFile],
    parse: ([text = '']) => parseCa(text),
  };
}

export function decryptionKeyPart(source: DecryptionKeySource): Part<DecryptionKey> {
  return {
    kind: 'keys',
    identity: JSON.stringify({ ...source, path: undefined }),
    path: source.path,
    files: [source.file],
    parse: ([text = '']) => parseDecryptionKey(source, text),
  };
}

export function tlsPart(tls: Tls): Part<TlsMaterial> | undefined {
  if (tls === undefined) return undefined;
  return {
    kind: 'tls',
    identity: JSON.stringify(tls),
    path: 'listen.tls',
    files: [tls.certFile, tls.keyFile, ...(tls.clientCaFile === undefined ? [] : [tls.clientCaFile])],
    parse: ([cert = '', key = '', clientCa]) => parseTls(cert, key, clientCa),
  };
}

/** What became of the parts. */
export interface LoadedParts {
  readonly good: ReadonlyMap<string, Good>;
  /** Parts that are bad now and serve in their last good state. */
  readonly stale: ReadonlyMap<FileKind, readonly Problem[]>;
  /** Parts that are bad now and never were good. */
  readonly fatal: readonly Problem[];
  /** Whether a part that was not there before has a file that may be half-written. */
  readonly isIncomplete: boolean;
}

/** What was loaded before: the parts by their identity, and what was wrong with some. */
export interface PartsBefore {
  readonly parts: ReadonlyMap<string, Good>;
  readonly problems: ReadonlyMap<FileKind, readonly Problem[]>;
}

const NOTHING_BEFORE: PartsBefore = { parts: new Map(), problems: new Map() };

/** Loads parts; one that is bad now, or incomplete, keeps its state from before. */
export async function loadParts(
  parts: readonly Part[],
  reader: Reader,
  before: PartsBefore = NOTHING_BEFORE,
): Promise<LoadedParts> {
  const good = new Map<string, Good>();
  const stale = new Map<FileKind, Problem[]>();
  const fatal: Problem[] = [];
  let isIncomplete = false;
  for (const part of parts) {
    const last = before.parts.get(part.identity);
    const readings = await Promise.all(part.files.map((file) => reader.read(file)));
    const isWritten = readings.some((reading) => reading.isIncomplete);
    if (isWritten && last === undefined) {
      isIncomplete = true;
      continue;
    }
    const next = isWritten
      ? problemsBefore(part, before)
      : parsePart(
          part,
          readings.map(({ text }) => text),
          last,
        );
    if ('value' in next) {
      good.set(part.identity, next);
    } else if (last === undefined) {
      fatal.push(...next);
    } else {
      good.set(part.identity, last);
      if (next.length > 0) stale.set(part.kind, [...(stale.get(part.kind) ?? []), ...next]);
    }
  }
  return { good, stale, fatal, isIncomplete };
}

function problemsBefore({ kind, path }: Part, { problems }: PartsBefore): readonly Problem[] {
  return (problems.get(kind) ?? []).filter((problem) => problem.path === path);
}

function parsePart(
  part: Part,
  texts: readonly FileText[],
  last: Good | undefined,
): Good | readonly Problem[] {
  const { kind, path, files } = part;
  const unread = texts.flatMap((text) => ('problem' in text ? [{ path, message: text.problem }] : []));
  if (unread.length > 0) return unread;
  const digest = digestOf(...texts);
  if (last?.digest === digest) return last;
  try {
    const value = part.parse(texts.map((text) => ('text' in text ? text.text : '')));
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
export class Reader {
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
