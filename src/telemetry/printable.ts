/** Makes text that came from outside safe to print: short, on one line, and unable to steer a terminal or its reader. */

/** Longest text that a client sent, in UTF-16 code units. */
const MAX_CLIENT_TEXT = 256;

/** C0 and C1 controls; format characters, such as those that turn the direction of text; line separators. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** As JSON writes such characters, so that a string in JSON stays the same string. */
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

/** The beginning of a text that a client sent. */
export function clip(text: string): string {
  return text.slice(0, MAX_CLIENT_TEXT);
}

/** Each text in a value that came as JSON, names of members too. */
export function clipAll(value: unknown): unknown {
  if (typeof value === 'string') return clip(value);
  if (Array.isArray(value)) return value.map(clipAll);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [clip(name), clipAll(member)]));
}
