/** Turns errors of the schema into problems with a path, without quoting secrets. */
import type * as z from 'zod';
import { looksLikeSecret } from '../approov/secret.ts';
import type { Problem } from './config.ts';

export function shapeProblems(error: z.ZodError): Problem[] {
  return error.issues.flatMap((issue) => {
    const path = formatPath(issue.path);
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        path: formatPath([...issue.path, key]),
        message: 'unknown field',
      }));
    }
    if (issue.code === 'invalid_key') {
      return issue.issues.map(({ message }) => ({ path, message: `the name ${message}` }));
    }
    const message = issue.message.endsWith('received undefined')
      ? 'is required'
      : issue.message
          .replace(/^Invalid (input|option): /, '')
          // YAML reads 0001 as the number 1.
          .replace(
            /^expected string, received (number|boolean)$/,
            'expected a text, received a $1: quote it',
          );
    return [{ path, message }];
  });
}

function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    const name = printableName(String(part));
    return text === '' ? name : `${text}.${name}`;
  }, '');
}

/** Length of the shortest secret in base64; no name of a field or policy is that long. */
const SECRET_CHARACTERS = 43;

/** Hides a name that looks like a secret put in the wrong place. */
export function printableName(name: string): string {
  const isHidden = name.length >= SECRET_CHARACTERS || looksLikeSecret(name);
  return isHidden ? '[hidden: it looks like a secret]' : name;
}
