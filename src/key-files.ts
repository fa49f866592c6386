/** Owns reading the keys' files. */
import { readFile } from 'node:fs/promises';
import type { Algorithm } from './approov/algorithm.ts';
import { createSymmetricKey, type SymmetricKey } from './approov/keyset.ts';
import { Secret, SecretError } from './approov/secret.ts';

/** A key as configured: with its secret, or with the file that holds it. */
interface KeySource {
  readonly id: string;
  readonly kid: string | undefined;
  readonly algorithms: readonly Algorithm[];
  readonly secret: Secret | { readonly file: string };
  /** Where it stands in the configuration. */
  readonly path: string;
}

interface KeyProblem {
  readonly path: string;
  readonly message: string;
}

/** Reads every key; a key that cannot be had is a problem, never half a keyset in silence. */
export async function loadKeys(
  sources: readonly KeySource[],
): Promise<{ keys: readonly SymmetricKey[]; problems: readonly KeyProblem[] }> {
  const keys: SymmetricKey[] = [];
  const problems: KeyProblem[] = [];
  for (const { id, kid, algorithms, secret, path } of sources) {
    try {
      const loaded = secret instanceof Secret ? secret : await readSecret(secret.file);
      keys.push(createSymmetricKey(id, kid, algorithms, loaded));
    } catch (error) {
      if (!(error instanceof SecretError)) throw error;
      problems.push({ path, message: error.message });
    }
  }
  return { keys, problems };
}

async function readSecret(file: string): Promise<Secret> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new SecretError(describeFileError(file, error));
  });
  try {
    return Secret.parse(text);
  } catch (error) {
    throw error instanceof SecretError ? new SecretError(`${file}: ${error.message}`) : error;
  }
}

const FILE_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
  ENOTDIR: 'a part of the path is no directory',
};

/**
 * Why a file cannot be read, in one line.
 * @throws the error itself, if it is none of the file system's.
 */
export function describeFileError(file: string, error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) throw error;
  return `${file}: ${FILE_ERRORS[code] ?? code}`;
}
