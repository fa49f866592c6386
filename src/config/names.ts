/** Schemas of names that several sections of the configuration file use. */
import * as z from 'zod';
import { looksLikeSecret } from '../approov/secret.ts';

export const name = z.string().regex(/^[a-z0-9-]{1,32}$/, 'must be 1 to 32 of a-z, 0-9 and -');
export const text = z.string().min(1, 'must not be empty');

/** Exact, or `*.` and a suffix. */
export const host = z
  .string()
  .regex(/^(\*\.)?([A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+\.?(:\d+)?$|^\[[0-9A-Fa-f:.]+\](:\d+)?$/, {
    message: 'must be a host such as api.example.com or *.example.com',
    abort: true,
  })
  .refine((value) => !looksLikeSecret(value), 'looks like a secret');
