/** Classifies request paths as plain or ambiguous, and reads plain paths the ways upstreams compare them. */

/** A longer path is ambiguous, and is not scanned. */
const MAX_PLAIN_LENGTH = 8192;

const SLASH = 0x2f;
const DOT = 0x2e;
const SPACE = 0x20;
const PERCENT = 0x25;

/** RFC 3986 §2.3. */
const UNRESERVED = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~';
/** `pchar` (RFC 3986 §3.3) without `;`, which begins path parameters, and with `[ ] |`, which clients send unencoded. */
const LITERALS = asciiSet(`${UNRESERVED}!$&'()*+,=:@[]|`);
/** Encoding these is pointless, or changes the path once it is decoded. Older clients do send `~` as `%7E`. */
const NEVER_ENCODED = asciiSet(`${UNRESERVED.replace('~', '')}/\\%;?#`);

function asciiSet(characters: string): readonly boolean[] {
  return Array.from({ length: 128 }, (_, code) => characters.includes(String.fromCharCode(code)));
}

/** The path of a request target: without its query, and `/` where there is none (RFC 9112 §3.2). */
export function pathOf(target: string): string {
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  return path === '' || path === '*' ? '/' : path;
}

/**
 * Whether every upstream finds the same segments in a path. If not, its prefix proves nothing: one server drops `;x`,
 * another decodes twice, a third reads `\` as `/` (CVE-2021-32779 and many others).
 * @param path without its query.
 */
export function isPlainPath(path: string): boolean {
  if (path.charCodeAt(0) !== SLASH || path.length > MAX_PLAIN_LENGTH) return false;
  // Some file systems ignore dots and spaces at the end of a name, so they read `..%20` as `..`.
  let isDotsAndSpaces = true;
  let position = 1;
  while (position < path.length) {
    const code = path.charCodeAt(position);
    if (code === PERCENT) {
      const character = encodedCharacter(path, position);
      if (character === undefined || !mayBeEncoded(character)) return false;
      if (character !== SPACE) isDotsAndSpaces = false;
      position += 3 * utf8Length(character);
      continue;
    }
    if (code === SLASH) {
      if (isDotsAndSpaces) return false;
      isDotsAndSpaces = true;
    } else {
      if (LITERALS[code] !== true) return false;
      if (code !== DOT) isDotsAndSpaces = false;
    }
    position++;
  }
  return !isDotsAndSpaces || path.endsWith('/');
}

function mayBeEncoded(codePoint: number): boolean {
  const isControl = codePoint < 0x20 || (codePoint >= 0x7f && codePoint < 0xa0);
  return !isControl && NEVER_ENCODED[codePoint] !== true;
}

/** The character whose percent-encoded UTF-8 begins at a position; `undefined` if it is not in its shortest form. */
function encodedCharacter(path: string, position: number): number | undefined {
  const lead = encodedByte(path, position);
  if (lead < 0x80) return lead < 0 ? undefined : lead;
  // RFC 3629 §3: C0, C1 and F5 to FF never begin a character.
  if (lead < 0xc2 || lead > 0xf4) return undefined;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  let codePoint = lead & (0x7f >> length);
  for (let index = 1; index < length; index++) {
    const byte = encodedByte(path, position + 3 * index);
    if (byte < 0x80 || byte > 0xbf) return undefined;
    codePoint = (codePoint << 6) | (byte & 0x3f);
  }
  const isSurrogate = codePoint >= 0xd800 && codePoint <= 0xdfff;
  return utf8Length(codePoint) === length && codePoint <= 0x10ffff && !isSurrogate ? codePoint : undefined;
}

function utf8Length(codePoint: number): number {
  if (codePoint < 0x80) return 1;
  if (codePoint < 0x800) return 2;
  return codePoint < 0x10000 ? 3 : 4;
}

/** The byte encoded as `%XX`; negative if there is none. */
function encodedByte(path: string, position: number): number {
  if (path.charCodeAt(position) !== PERCENT) return -1;
  const high = HEX_DIGITS[path.charCodeAt(position + 1)] ?? -1;
  const low = HEX_DIGITS[path.charCodeAt(position + 2)] ?? -1;
  return (high << 4) | low;
}

/** The value of each ASCII character as a hexadecimal digit; -1 if it is not one. */
const HEX_DIGITS = Int8Array.from({ length: 128 }, (_, code) =>
  '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase()),
);

/** The ways upstreams compare a plain path with a prefix; some ignore case. */
export const READINGS = ['sent', 'decoded', 'folded', 'decodedFolded'] as const;
export type Reading = (typeof READINGS)[number];

/** A plain path, or a prefix of one, in each reading. */
export type PathReadings = Readonly<Record<Reading, string>>;

/** @param maxLength of each reading; the rest is not decoded. */
export function readPath(path: string, maxLength: number): PathReadings {
  const sent = path.slice(0, maxLength);
  const decoded = decodePath(path, maxLength);
  return { sent, decoded, folded: foldCase(sent), decodedFolded: foldCase(decoded) };
}

/** One character per byte, which is enough for a comparison. */
function decodePath(path: string, maxLength: number): string {
  return path
    .slice(0, 3 * maxLength)
    .replace(/%[0-9A-Fa-f]{2}/g, (code) => String.fromCharCode(encodedByte(code, 0)))
    .slice(0, maxLength);
}

/** ASCII only: `toLowerCase` would fold the bytes of other characters too. */
function foldCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** On segment boundaries: `/a` matches `/a` and `/a/b`, not `/ab`. */
export function matchesPrefix(prefix: string, path: string): boolean {
  return (
    prefix === '' ||
    (path.startsWith(prefix) && (path.length === prefix.length || path.charCodeAt(prefix.length) === SLASH))
  );
}
