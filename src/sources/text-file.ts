/** Reads files, or says in one line why a file cannot be read. */
import { constants, type FileHandle, open, readdir, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, resolve } from 'node:path';
import { looksLikeSecret } from '../approov/secret.ts';
import { nearest } from '../config/nearest.ts';

interface Unreadable {
  readonly kind: 'unreadable';
  readonly problem: string;
}

export type FileText = { readonly kind: 'read'; readonly text: string } | Unreadable;

type FileBytes = { readonly kind: 'read'; readonly bytes: Buffer } | Unreadable;

/** Real files have a few thousand bytes. */
const MAX_BYTES = 1024 * 1024;

/** With how many names in its folder a missing file is compared. */
const MAX_NAMES = 1000;

const NOT_REGULAR = 'not a regular file';
const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  ENOTDIR: 'a part of the path is not a directory',
  ENAMETOOLONG: 'file name too long',
  ERR_INVALID_ARG_VALUE: 'invalid file name',
  // From opening a unix socket.
  ENXIO: NOT_REGULAR,
};

const HIDDEN_NAME = 'file name hidden: it looks like a secret';

/** Windows PowerShell writes UTF-16: with a byte order mark, or every other byte is zero. */
function isUtf16(bytes: Buffer): boolean {
  const bom = bytes.length < 2 ? 0 : bytes.readUInt16BE(0);
  if (bom === 0xfeff || bom === 0xfffe) return true;
  const start = bytes.subarray(0, 64);
  const isZeroAt = (parity: number): boolean =>
    start.every((byte, index) => index % 2 !== parity || byte === 0);
  return start.length >= 4 && isZeroAt(0) !== isZeroAt(1);
}

export async function readTextFile(file: string): Promise<FileText> {
  const result = await readFileBytes(file);
  if (result.kind === 'unreadable') return result;
  if (isUtf16(result.bytes)) return describe(file, 'is in UTF-16: save it as UTF-8');
  return { kind: 'read', text: new TextDecoder().decode(result.bytes) };
}

export async function readFileBytes(file: string): Promise<FileBytes> {
  const result = await read(file);
  return result.kind === 'read' ? result : describe(file, result.problem);
}

async function describe(file: string, problem: string): Promise<Unreadable> {
  if (looksLikeSecret(file)) return unreadable(`${problem}; ${HIDDEN_NAME}`);
  const hint = problem === PROBLEMS['ENOENT'] ? await missingHint(file) : '';
  return unreadable(`${file}: ${problem}${hint}`);
}

/** A file of nearly the same name, or where a relative name starts. */
async function missingHint(file: string): Promise<string> {
  const names = await readdir(dirname(file)).catch(() => []);
  const meant = nearest(basename(file), names.slice(0, MAX_NAMES));
  if (meant !== undefined && !looksLikeSecret(meant))
    return `; did you mean ${file.slice(0, file.length - basename(file).length)}${meant}?`;
  return isAbsolute(file) ? '' : ` in ${resolve('.')}`;
}

/** The real path, if the path is a symbolic link; otherwise, or if the file does not exist, `undefined`. */
export async function linkTarget(file: string): Promise<string | undefined> {
  try {
    const target = await realpath(file);
    return target === resolve(file) ? undefined : target;
  } catch {
    return undefined;
  }
}

function unreadable(problem: string): Unreadable {
  return { kind: 'unreadable', problem };
}

async function read(file: string): Promise<FileBytes> {
  let handle: FileHandle | undefined;
  try {
    // Non-blocking: opening a pipe would wait for a writer.
    handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = await handle.stat();
    if (stats.isDirectory()) return unreadable('is a directory');
    if (!stats.isFile()) return unreadable(NOT_REGULAR);
    if (stats.size > MAX_BYTES) return unreadable(`is over ${MAX_BYTES} bytes`);
    return { kind: 'read', bytes: await handle.readFile() };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return unreadable(PROBLEMS[code] ?? code);
  } finally {
    await handle?.close();
  }
}
