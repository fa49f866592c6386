/** Owns the parts of a configuration that are made of files: how each is loaded, and its last good state. */
import { createHash } from 'node:crypto';
import type { DecryptionKey } from './approov/encrypted-token.ts';
import type { Config, DecryptionKeySource, KeySource, Problem } from './config/config.ts';
import { type FileText, readTextFile } from './files.ts';
import { KeyError, type ParsedKeys, parseDecryptionKey, parseKeys } from './key-files.ts';
import { parseTls, TlsError, type TlsMaterial } from './tls-files.ts';

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
  return [...keys.map(keyPart), ...decryptionKeys.map(decryptionKeyPart), tlsPart(tls)].filter(
    (part) => part !== undefined,
  );
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
}

/**
 * Loads parts; one that is bad now keeps its state from before.
 * @param before by the parts' identity.
 */
export async function loadParts(
  parts: readonly Part[],
  reader: Reader,
  before: ReadonlyMap<string, Good> = new Map(),
): Promise<LoadedParts> {
  const good = new Map<string, Good>();
  const stale = new Map<FileKind, Problem[]>();
  const fatal: Problem[] = [];
  for (const part of parts) {
    const last = before.get(part.identity);
    const texts = await Promise.all(part.files.map((file) => reader.read(file)));
    const next = parsePart(part, texts, last);
    if ('value' in next) {
      good.set(part.identity, next);
    } else if (last === undefined) {
      fatal.push(...next);
    } else {
      good.set(part.identity, last);
      stale.set(part.kind, [...(stale.get(part.kind) ?? []), ...next]);
    }
  }
  return { good, stale, fatal };
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

/** Reads each file once in a look, so that all that is made of it agrees. */
export class Reader {
  readonly #readings = new Map<string, Promise<FileText>>();
  readonly #texts = new Map<string, FileText>();

  async read(file: string): Promise<FileText> {
    const reading = this.#readings.get(file) ?? readTextFile(file);
    this.#readings.set(file, reading);
    const text = await reading;
    this.#texts.set(file, text);
    return text;
  }

  get digests(): ReadonlyMap<string, string> {
    return new Map(Array.from(this.#texts, ([file, text]) => [file, digestOf(text)]));
  }
}

export function digestOf(...texts: readonly (FileText | undefined)[]): string {
  return createHash('sha256').update(JSON.stringify(texts)).digest('base64');
}
