/** Turns errors of the schema into problems with a path, without quoting secrets. */
import * as z from 'zod';
import { looksLikeSecret } from '../approov/secret.ts';
import type { Problem } from './config.ts';
import { issueMessage, quoted, unknownField } from './issue-messages.ts';
import { escapeUnprintable } from './printable.ts';

z.config({ localeError: issueMessage });

/** So that messages can quote the value. */
export const REPORT_INPUT = { reportInput: true } as const;

/** @param error of a parse with {@link REPORT_INPUT}. */
export function shapeProblems(error: z.ZodError): Problem[] {
  return error.issues.flatMap((issue) => {
    const path = formatPath(issue.path);
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        path: formatPath([...issue.path, key]),
        message: unknownField(key, issue.message),
      }));
    }
    if (issue.code === 'invalid_key') {
      return issue.issues.map(({ message }) => ({ path, message: `the name ${message}` }));
    }
    return [{ path, message: withValue(issue) }];
  });
}

/** Begins the message with the value, unless the message has it already, or it may be secret. */
function withValue({ code, input, message }: z.core.$ZodIssue): string {
  if (code === 'invalid_type' || code === 'invalid_value') return message;
  const value =
    typeof input === 'number' ? String(input) : typeof input === 'string' ? quoted(input) : undefined;
  return value === undefined ? message : `${value} ${message}`;
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
  // A URL may have a password in it.
  const isHidden = name.length >= SECRET_CHARACTERS || looksLikeSecret(name) || /:\/\/.*@/.test(name);
  if (isHidden) return '[hidden: it looks like a secret]';
  return name === '' ? '""' : escapeUnprintable(name);
}
