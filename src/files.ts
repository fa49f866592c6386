/** Owns reading text files, and saying in one line why one cannot be read. */
import { readFile } from 'node:fs/promises';

/** What reading a file gave. */
export type FileText = { readonly text: string } | { readonly problem: string };

const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
  ENOTDIR: 'a part of the path is no directory',
};

export async function readTextFile(file: string): Promise<FileText> {
  try {
    return { text: await readFile(file, 'utf8') };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return { problem: `${file}: ${PROBLEMS[code] ?? code}` };
  }
}
