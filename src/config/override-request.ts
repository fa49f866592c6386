/** Parses a request to override the mode of a policy for a while, or to end that early. */
import * as z from 'zod';
import type { Problem } from './config.ts';
import { REPORT_INPUT, shapeProblems } from './shape-problems.ts';

/** Not `off`: an override helps while something is wrong, when the counts of `observe` are needed most. */
export const OVERRIDE_MODES = ['observe', 'limit', 'enforce'] as const;
export type OverrideMode = (typeof OVERRIDE_MODES)[number];

export const MIN_OVERRIDE_SECONDS = 1;
export const MAX_OVERRIDE_SECONDS = 4 * 3600;
export const MAX_REASON_CHARACTERS = 200;

export type OverrideRequest =
  | {
      readonly kind: 'set';
      readonly policy: string;
      readonly mode: OverrideMode;
      readonly seconds: number;
      readonly reason: string;
    }
  | { readonly kind: 'clear'; readonly policy: string };

/** Controls, format characters such as bidi overrides, unpaired surrogates, and line and paragraph separators. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

function isReason(text: string): boolean {
  return text.trim() !== '' && [...text].length <= MAX_REASON_CHARACTERS && !UNPRINTABLE.test(text);
}

const NOT_OFF = 'off is not allowed: observe allows the same requests, and counts them';

const SET = z.strictObject({
  policy: z.string(),
  mode: z.enum(OVERRIDE_MODES, { error: ({ input }) => (input === 'off' ? NOT_OFF : undefined) }),
  seconds: z.number().min(MIN_OVERRIDE_SECONDS).max(MAX_OVERRIDE_SECONDS),
  reason: z.string().refine(isReason, `must have 1 to ${MAX_REASON_CHARACTERS} printable characters`),
});

const CLEAR = z.strictObject({ policy: z.string(), clear: z.literal(true, 'must be true') });

/** @param body parsed JSON. */
export function parseOverrideRequest(
  body: unknown,
): OverrideRequest | { readonly kind: 'invalid'; readonly problems: readonly Problem[] } {
  if (!isJsonObject(body))
    return {
      kind: 'invalid',
      problems: [{ path: '', message: `must be a JSON object, not ${kindOf(body)}` }],
    };
  const isClear = 'clear' in body;
  const parsed = isClear ? CLEAR.safeParse(body, REPORT_INPUT) : SET.safeParse(body, REPORT_INPUT);
  if (!parsed.success) return { kind: 'invalid', problems: shapeProblems(parsed.error) };
  const { data } = parsed;
  return 'clear' in data ? { kind: 'clear', policy: data.policy } : { kind: 'set', ...data };
}

function isJsonObject(body: unknown): body is object {
  return typeof body === 'object' && body !== null && !Array.isArray(body);
}

function kindOf(json: unknown): string {
  if (json === null) return 'null';
  return Array.isArray(json) ? 'an array' : `a ${typeof json}`;
}
