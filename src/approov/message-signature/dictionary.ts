/** Parses dictionaries of structured fields (RFC 8941 §3.2) and keeps the text of each member as received. */
import { type InnerList, type Item, parseDictionary as parseWhole } from 'structured-headers';
import { decodeBase64 } from '../base64.ts';
import { combineFieldValues } from './field-component.ts';
import type { SignedRequest } from './signed-request.ts';

declare global {
  /** A type of the DOM that the types of structured-headers name; this project is compiled without the DOM. */
  type BufferSource = ArrayBufferView | ArrayBuffer;
}

export interface Member {
  /** What follows `key=`, as received. */
  readonly text: string;
  readonly value: Item | InnerList;
}

export type Dictionary = ReadonlyMap<string, Member>;

interface DictionaryLimits {
  readonly bytes: number;
  readonly members: number;
}

export type DictionaryProblem = 'malformed' | 'duplicate_key' | 'too_long' | 'too_many_members';

type DictionaryResult =
  | { readonly kind: 'dictionary'; readonly members: Dictionary }
  | { readonly kind: 'invalid'; readonly problem: DictionaryProblem };

/** Reads a header with all its occurrences; `undefined` if it is absent. */
export function readDictionary(
  request: SignedRequest,
  name: string,
  limits: DictionaryLimits,
): DictionaryResult | undefined {
  const values = request.headerValues(name);
  if (values.length === 0) return undefined;
  const bytes = values.reduce((sum, value) => sum + value.length, 0);
  if (bytes > limits.bytes) return invalid('too_long');
  const text = combineFieldValues(values);
  return text === undefined ? invalid('malformed') : parseDictionary(text, limits);
}

/**
 * Parses each member by itself: the library returns neither the text of a member nor the fact that a key is repeated, of
 * which it keeps the last. The members' values follow from the same text that is then verified.
 */
export function parseDictionary(text: string, limits: DictionaryLimits): DictionaryResult {
  const members = new Map<string, Member>();
  const texts = splitMembers(text);
  if (texts === undefined) return invalid('malformed');
  if (texts.length > limits.members) return invalid('too_many_members');
  for (const memberText of texts) {
    const parsed = parseMember(memberText);
    if (parsed === undefined) return invalid('malformed');
    const [key, member] = parsed;
    if (members.has(key)) return invalid('duplicate_key');
    members.set(key, member);
  }
  return { kind: 'dictionary', members };
}

function invalid(problem: DictionaryProblem): DictionaryResult {
  return { kind: 'invalid', problem };
}

/** Splits at commas, which otherwise occur only in quoted strings; `undefined` if a member is empty. */
function splitMembers(text: string): readonly string[] | undefined {
  if (trimBlanks(text) === '') return [];
  const members: string[] = [];
  let start = 0;
  let isQuoted = false;
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (isQuoted && character === '\\') index++;
    else if (character === '"') isQuoted = !isQuoted;
    else if (character === ',' && !isQuoted) {
      members.push(trimBlanks(text.slice(start, index)));
      start = index + 1;
    }
  }
  members.push(trimBlanks(text.slice(start)));
  return members.includes('') ? undefined : members;
}

function parseMember(text: string): readonly [string, Member] | undefined {
  try {
    const [entry, ...others] = parseWhole(text);
    if (entry === undefined || others.length > 0) return undefined;
    const [key, value] = entry;
    return [key, { text: text.slice(key.length + 1), value }];
  } catch {
    return undefined;
  }
}

/** SP and HTAB. Linear in the length, unlike a regular expression for the end. */
function trimBlanks(text: string): string {
  const isBlank = (index: number): boolean => text[index] === ' ' || text[index] === '\t';
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(start)) start++;
  while (end > start && isBlank(end - 1)) end--;
  return text.slice(start, end);
}

/**
 * The bytes of a member: a byte sequence, or base64 in a string, as okhttp 3.5.2 to 3.5.7 send it; `undefined` for
 * anything else.
 */
export function bytesOf({ text, value: [value] }: Member): Buffer | undefined {
  if (typeof value === 'string') return decodeBase64(value);
  // Decoded again: the library ignores spare bits, with which several texts have the same bytes.
  return value instanceof ArrayBuffer ? decodeBase64(text.slice(1, text.indexOf(':', 1))) : undefined;
}
