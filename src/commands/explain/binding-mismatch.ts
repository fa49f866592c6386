/** Finds the usual mistakes of token binding: what a `pay` claim is the hash of, if not of the bound headers. */
import { createHash } from 'node:crypto';
import { decodeBase64 } from '../../approov/base64.ts';

/** `value`: as a check reads it; `undefined` if absent or repeated. */
interface Header {
  readonly name: string;
  readonly value: Buffer | undefined;
}

type Present = Header & { readonly value: Buffer };

/** A text that may have been hashed, and how to describe it. */
interface Candidate {
  readonly says: string;
  readonly text: Buffer;
}

const RIGHT = 'the right value';

/** More would have too many orders to try. */
const MAX_REORDERED = 5;

/** @returns what the claim is the hash of, to be read after "its hash matches". Names headers; quotes no value. */
export function findMismatch(
  pay: string,
  bound: readonly Header[],
  others: readonly Header[],
): string | undefined {
  const present = bound.filter(isPresent);
  const isComplete = present.length === bound.length;
  const exact = isComplete ? [{ says: RIGHT, text: Buffer.concat(present.map(({ value }) => value)) }] : [];
  const candidates = [
    ...exact,
    ...variants(present, isComplete),
    ...(present.length > 1 ? [...reordered(present), ...joined(present), ...parts(present)] : []),
    ...others.filter(isPresent).flatMap(ofOneHeader),
    { says: 'an empty value', text: Buffer.alloc(0) },
  ];
  const encodings = readings(pay);
  for (const { says, text } of candidates) {
    const digest = createHash('sha256').update(text).digest();
    const encoding = encodings.find(({ bytes }) => bytes.equals(digest));
    if (encoding === undefined) continue;
    if (says !== RIGHT) return [says, ...encoding.says].join(', ');
    const [how = decodeBase64(pay) === undefined && 'not in clean base64'] = encoding.says;
    return how === false ? undefined : `${RIGHT}, but ${how}`;
  }
  return undefined;
}

function isPresent(header: Header): header is Present {
  return header.value !== undefined;
}

/** The ways to read a `pay` claim as the bytes of a hash. */
function readings(pay: string): readonly { readonly says: readonly string[]; readonly bytes: Buffer }[] {
  const text = pay.trim();
  const bytes = Buffer.from(text, 'base64');
  const inner = bytes.toString('latin1');
  return [
    { says: [], bytes: Buffer.from(pay, 'base64') },
    ...(/^[0-9A-Fa-f]{64}$/.test(text)
      ? [{ says: ['in hexadecimal instead of base64'], bytes: Buffer.from(text, 'hex') }]
      : []),
    ...(/^[0-9A-Fa-f]{64}$/.test(inner)
      ? [{ says: ['in base64 of its hexadecimal digits'], bytes: Buffer.from(inner, 'hex') }]
      : []),
    ...(/^[A-Za-z0-9+/_-]{43}=?$/.test(inner)
      ? [{ says: ['in base64 twice'], bytes: Buffer.from(inner, 'base64') }]
      : []),
  ];
}

/** Of the bound headers in order, each changed the same way. */
function variants(present: readonly Present[], isComplete: boolean): readonly Candidate[] {
  if (!isComplete || present.length === 0) return [];
  const value = present.length === 1 ? 'the value' : 'the values';
  return CHANGES.map(({ says, change }) => ({
    says: `${value} ${says}`,
    text: Buffer.concat(present.map((header) => change(header))),
  }));
}

interface Change {
  readonly says: string;
  readonly change: (header: Present) => Buffer;
}

const CHANGES: readonly Change[] = [
  { says: 'without `Bearer `', change: ({ value }) => withoutScheme(value) },
  { says: 'with `Bearer ` before it', change: ({ value }) => around('Bearer ', value, '') },
  {
    says: 'with `bearer ` in lower case',
    change: ({ value }) => around('bearer ', withoutScheme(value), ''),
  },
  { says: 'with a newline at its end', change: ({ value }) => around('', value, '\n') },
  {
    says: 'without `Bearer ` and with a newline at its end',
    change: ({ value }) => around('', withoutScheme(value), '\n'),
  },
  { says: 'with a carriage return and newline at its end', change: ({ value }) => around('', value, '\r\n') },
  { says: 'with a space at its end, which checks trim', change: ({ value }) => around('', value, ' ') },
  { says: 'with a space before it, which checks trim', change: ({ value }) => around(' ', value, '') },
  { says: 'in double quotes', change: ({ value }) => around('"', value, '"') },
  { says: 'without its quotes', change: ({ value }) => latin1(text(value).replace(/^["']|["']$/g, '')) },
  { says: 'in lower case', change: ({ value }) => latin1(text(value).toLowerCase()) },
  {
    says: 'with the name of the header before it',
    change: ({ name, value }) => around(`${name}: `, value, ''),
  },
  {
    says: 'with the name of the header before it',
    change: ({ name, value }) => around(`${capitalized(name)}: `, value, ''),
  },
];

function capitalized(name: string): string {
  return name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}

function text(value: Buffer): string {
  return value.toString('latin1');
}

function latin1(value: string): Buffer {
  return Buffer.from(value, 'latin1');
}

function around(before: string, value: Buffer, after: string): Buffer {
  return Buffer.concat([Buffer.from(before), value, Buffer.from(after)]);
}

function withoutScheme(value: Buffer): Buffer {
  return latin1(text(value).replace(/^bearer +/i, ''));
}

function reordered(present: readonly Present[]): readonly Candidate[] {
  if (present.length > MAX_REORDERED) return [];
  return permutations(present).map((headers) => ({
    says: `the headers in another order: ${headers.map(({ name }) => name).join(', ')}`,
    text: Buffer.concat(headers.map(({ value }) => value)),
  }));
}

function permutations<T>(items: readonly T[]): readonly (readonly T[])[] {
  if (items.length < 2) return [items];
  return items.flatMap((item, index) =>
    permutations(items.filter((_, other) => other !== index)).map((rest) => [item, ...rest]),
  );
}

const SEPARATORS = {
  comma: ',',
  'comma and a space': ', ',
  space: ' ',
  newline: '\n',
  colon: ':',
  semicolon: ';',
};

function joined(present: readonly Present[]): readonly Candidate[] {
  const values = present.map(({ value }) => text(value));
  return Object.entries(SEPARATORS).map(([name, separator]) => ({
    says: `the values with a ${name} between them, where Approov has nothing`,
    text: latin1(values.join(separator)),
  }));
}

function parts(present: readonly Present[]): readonly Candidate[] {
  return present.map(({ name, value }) => ({ says: `${name} alone`, text: value }));
}

function ofOneHeader(header: Present): readonly Candidate[] {
  return [
    { says: `another header, ${header.name}`, text: header.value },
    ...CHANGES.map(({ says, change }) => ({
      says: `another header, ${header.name}, ${says}`,
      text: change(header),
    })),
  ];
}
