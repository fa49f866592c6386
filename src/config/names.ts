/** Schemas of names that several sections of the configuration file use. */
import * as z from 'zod';
import { looksLikeSecret } from '../approov/secret.ts';
import { readHost } from '../authz/host.ts';

export const name = z.string().regex(/^[a-z0-9-]{1,32}$/, 'must be 1 to 32 of a-z, 0-9 and -');
export const text = z.string().min(1, 'must not be empty');

/** Exact, or `*.` and a suffix. */
export const host = z
  .string()
  .refine(isHostPattern, {
    message: 'must be a host such as api.example.com or *.example.com',
    abort: true,
  })
  .refine((value) => !looksLikeSecret(value), 'looks like a secret');

/** Whether some host of a request can match it. */
function isHostPattern(text: string): boolean {
  const host = text.replace(/^\*\.(?!\[)/, '');
  return !host.endsWith(':') && readHost(host) !== undefined;
}
