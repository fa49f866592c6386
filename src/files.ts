/** Owns reading text files, and saying in one line why one cannot be read. */
import { readFile } from 'node:fs/promises';

/** What reading a file gave. */
export type FileText = { readonly text: string } | { readonly problem: string };

const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
  ENOTDIR: 'a part of the path is no directory',
  ENAMETOOLONG: 'too long a name',
};

const HIDDEN_NAME = 'its name is not shown, as it looks like a secret in the place of a file name';

/** Long runs of letters and digits in which both cases and a digit occur: base64 has them, names of files hardly ever. */
function looksLikeSecret(file: string): boolean {
  const runs = file.match(/[A-Za-z0-9+]{20,}/g) ?? [];
  return runs.some((run) => /[a-z]/.test(run) && /[A-Z]/.test(run) && /\d/.test(run));
}

export async function readTextFile(file: string): Promise<FileText> {
  try {
    return { text: await readFile(file, 'utf8') };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    const why = PROBLEMS[code] ?? code;
    return { problem: looksLikeSecret(file) ? `${why}; ${HIDDEN_NAME}` : `${file}: ${why}` };
  }
}
