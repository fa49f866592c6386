/** Writes a file atomically, readable only by its owner. */
import { randomBytes } from 'node:crypto';
import { lstat, open, rename, unlink } from 'node:fs/promises';
import { looksLikeSecret } from '../../approov/secret.ts';
import { UsageError } from '../command.ts';

const OWNER_ONLY = 0o600;

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Replaces an existing file, whose owner the new one keeps.
 * @throws {UsageError} the file cannot be written, or is one that others could read.
 */
export async function writePrivateFile(file: string, content: string): Promise<void> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const owner = await ownerToKeep(file);
    await create(temporary, content, owner);
    await rename(temporary, file);
  } catch (error) {
    // It does not exist if creating it failed.
    await unlink(temporary).catch(() => undefined);
    if (error instanceof UsageError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw unusable(file, PROBLEMS[code] ?? `cannot be written (${code})`);
  }
}

const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'no such directory',
  ENOTDIR: 'a part of the path is not a directory',
  EACCES: 'permission denied',
  EROFS: 'the file system is read-only',
  EPERM: 'belongs to another user; run this as root to keep its owner',
};

/** `undefined`: the file does not exist. */
async function ownerToKeep(file: string): Promise<Owner | undefined> {
  const found = await lstat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return undefined;
  if (found.isSymbolicLink()) throw unusable(file, 'is a symbolic link: name the file itself');
  if (found.isDirectory()) throw unusable(file, 'is a directory');
  if (!found.isFile()) throw unusable(file, 'not a regular file');
  const mode = found.mode & 0o777;
  if ((mode & ~OWNER_ONLY) !== 0)
    throw unusable(file, `has mode ${mode.toString(8).padStart(4, '0')}, must be 0600: chmod 600 it first`);
  return { uid: found.uid, gid: found.gid };
}

async function create(file: string, content: string, owner: Owner | undefined): Promise<void> {
  const handle = await open(file, 'wx', OWNER_ONLY);
  try {
    const { uid, gid } = await handle.stat();
    if (owner !== undefined && (owner.uid !== uid || owner.gid !== gid))
      await handle.chown(owner.uid, owner.gid);
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function unusable(file: string, problem: string): UsageError {
  // A secret may have been given where the name of its file belongs.
  const name = looksLikeSecret(file) ? '' : `${file}: `;
  return new UsageError(`--output: ${name}${problem}`);
}
