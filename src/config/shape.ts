/** Owns what is said of content that has not the shape that it should have. */
import type * as z from 'zod';
import type { Problem } from './config.ts';

export function shapeProblems(error: z.ZodError): Problem[] {
  return error.issues.flatMap((issue) => {
    const path = formatPath(issue.path);
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        path: path === '' ? key : `${path}.${key}`,
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
          // What YAML takes for something else than a text: 0001 is the number 1.
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
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');
}
