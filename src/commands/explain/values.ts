/** Quotes values in sentences: text from the token is cut, and every list reads as one. */
import { clipAll } from '../../telemetry/printable.ts';

const MAX_QUOTED = 80;

/** A value from the token as JSON, cut. */
export function quote(value: unknown): string {
  if (value === undefined) return 'absent';
  // JSON has no infinity, which `1e999` parses to.
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(clipAll(value)) ?? 'absent');
  return text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text;
}

/** The name of an algorithm, without quotes; anything else as JSON. */
export function bare(value: unknown): string {
  return typeof value === 'string' && /^[\w+-]{1,20}$/.test(value) ? value : quote(value);
}

/** `a`, `a or b`, `a, b or c`. */
export function list(items: readonly string[], conjunction: 'and' | 'or'): string {
  const last = items.at(-1) ?? '';
  return items.length < 2 ? last : `${items.slice(0, -1).join(', ')} ${conjunction} ${last}`;
}
