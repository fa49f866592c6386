/** Owns reading text files, and saying in one line why one cannot be read. */
import { constants, type FileHandle, open, realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { looksLikeSecret } from '../approov/secret.ts';

/** What reading a file gave. */
export type FileText = { readonly text: string } | { readonly problem: string };

/** Largest file; real ones have a few thousand bytes. */
const MAX_BYTES = 1024 * 1024;

const NOT_REGULAR = 'is no regular file, which can be read again and again';
const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  ENOTDIR: 'a part of the path is not a directory',
  ENAMETOOLONG: 'too long a name',
  ERR_INVALID_ARG_VALUE: 'a name that no file has',
  // From opening a socket.
  ENXIO: NOT_REGULAR,
};

const HIDDEN_NAME = 'its name is not shown, as it looks like a secret in the place of a file name';

/** As Windows' PowerShell writes text, with a mark at its beginning or every other byte zero. */
function isUtf16(bytes: Buffer): boolean {
  const mark = bytes.length < 2 ? 0 : bytes.readUInt16BE(0);
  if (mark === 0xfeff || mark === 0xfffe) return true;
  const start = bytes.subarray(0, 64);
  const isZeroAt = (parity: number): boolean =>
    start.every((byte, index) => index % 2 !== parity || byte === 0);
  return start.length >= 4 && isZeroAt(0) !== isZeroAt(1);
}

export async function readTextFile(file: string): Promise<FileText> {
  const found = await read(file);
  if ('text' in found) return found;
  const { problem } = found;
  return { problem: looksLikeSecret(file) ? `${problem}; ${HIDDEN_NAME}` : `${file}: ${problem}` };
}

/** Where a file really is, if symbolic links lead to it; `undefined` if none do, or there is no file. */
export async function linkTarget(file: string): Promise<string | undefined> {
  try {
    const target = await realpath(file);
    return target === resolve(file) ? undefined : target;
  } catch {
    return undefined;
  }
}

async function read(file: string): Promise<FileText> {
  let handle: FileHandle | undefined;
  try {
    // Without waiting: a pipe would open only once somebody writes to it.
    handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = await handle.stat();
    if (stats.isDirectory()) return { problem: 'is a directory' };
    if (!stats.isFile()) return { problem: NOT_REGULAR };
    if (stats.size > MAX_BYTES) return { problem: `is over ${MAX_BYTES} bytes` };
    const bytes = await handle.readFile();
    if (isUtf16(bytes)) return { problem: 'is in UTF-16: save it as UTF-8' };
    return { text: new TextDecoder().decode(bytes) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return { problem: PROBLEMS[code] ?? code };
  } finally {
    await handle?.close();
  }
}
