/** Computes the value of an HTTP field as a component of a signature base (RFC 9421 §2.1). */
import { trimOws } from '../field-value.ts';

/** Above the 100 headers that proxies commonly allow for a whole request: joining many is slow. */
const MAX_OCCURRENCES = 128;

/**
 * All occurrences in one line, one character per byte; `undefined` if there is none or too many, or CR LF stands for anything but a
 * folding. A CR or LF alone is left in.
 */
export function combineFieldValues(values: readonly Buffer[]): string | undefined {
  if (values.length === 0 || values.length > MAX_OCCURRENCES) return undefined;
  const lines: string[] = [];
  for (const value of values) {
    const line = unfold(trimOws(value));
    if (line === undefined) return undefined;
    lines.push(line);
  }
  return lines.join(', ');
}

const CR = 0x0d;
const LF = 0x0a;

/** Replaces each obsolete line folding (RFC 9112 §5.2) with one space. */
function unfold(value: Buffer): string | undefined {
  const text = value.toString('latin1');
  if (!value.includes(CR) && !value.includes(LF)) return text;
  const [first = '', ...folded] = text.split('\r\n');
  if (folded.some((line) => !/^[ \t]/.test(line))) return undefined;
  return [first, ...folded].map((line) => trimOws(Buffer.from(line, 'latin1')).toString('latin1')).join(' ');
}
