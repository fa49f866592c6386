/** Makes untrusted text safe to print: short, on one line, without control or format characters. */

/** In UTF-16 code units. */
const MAX_CLIENT_TEXT = 256;

/** C0 and C1 controls, format characters (bidi overrides among them), and line and paragraph separators. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Uses JSON's escapes, so that a JSON string keeps its value. */
export function escapeUnprintable(text: string): string {
  return text.replace(UNPRINTABLE, escapeCharacter);
}

function escapeCharacter(character: string): string {
  const short = JSON.stringify(character).slice(1, -1);
  if (short !== character) return short;
  return Array.from({ length: character.length }, (_, index) =>
    character.charCodeAt(index).toString(16).padStart(4, '0'),
  )
    .map((unit) => `\\u${unit}`)
    .join('');
}

/** Escapes every string in a JSON value, including member names. */
export function escapeAll(value: unknown): unknown {
  if (typeof value === 'string') return escapeUnprintable(value);
  if (Array.isArray(value)) return value.map(escapeAll);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [escapeUnprintable(name), escapeAll(member)]),
  );
}

/** Cuts text that a client sent to 256 characters. */
export function clip(text: string): string {
  return text.slice(0, MAX_CLIENT_TEXT);
}

/** Cuts every string in a JSON value, including member names. */
export function clipAll(value: unknown): unknown {
  if (typeof value === 'string') return clip(value);
  if (Array.isArray(value)) return value.map(clipAll);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [clip(name), clipAll(member)]));
}
