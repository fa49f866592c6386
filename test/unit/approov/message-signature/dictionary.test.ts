/** Tests the parsing of structured fields with the vectors of the HTTP working group, and what we add to the library. */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import {
  DisplayString,
  parseItem,
  parseList,
  parseDictionary as parseWhole,
  Token,
} from 'structured-headers';
import { describe, expect, it } from 'vitest';
import {
  bytesOf,
  parseDictionary,
  readDictionary,
} from '../../../../src/approov/message-signature/dictionary.ts';
import { signedRequest } from '../../../support/signed-request.ts';

interface Vector {
  readonly name: string;
  readonly raw: readonly string[];
  readonly header_type: 'dictionary' | 'item' | 'list';
  readonly expected?: unknown;
  readonly must_fail?: boolean;
  readonly can_fail?: boolean;
}

const FOLDER = new URL('../../../support/vectors/structured-fields/', import.meta.url);
const VECTORS = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.json'))
  .flatMap((file) => JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as readonly Vector[]);
const LIMITS = { bytes: 10_000, members: 1000 };

const PARSERS = {
  dictionary: (text: string) => {
    const result = parseDictionary(text, LIMITS);
    if (result.kind === 'invalid') throw new Error(result.problem);
    return [...result.members].map(([key, { value }]) => [key, value]);
  },
  item: parseItem,
  list: parseList,
};

/** The value as the vectors write it; `undefined` if it does not parse. */
function parse({ header_type, raw }: Vector): unknown {
  return valueOrNone(() => PARSERS[header_type](raw.join(', ')));
}

function valueOrNone(parser: () => unknown): unknown {
  try {
    return asInVectors(parser());
  } catch {
    return undefined;
  }
}

function asInVectors(value: unknown): unknown {
  if (value instanceof ArrayBuffer) return { __type: 'binary', value: base32(Buffer.from(value)) };
  if (value instanceof Token) return { __type: 'token', value: value.toString() };
  if (value instanceof Date) return { __type: 'date', value: value.getTime() / 1000 };
  if (value instanceof DisplayString) return { __type: 'displaystring', value: value.toString() };
  return value instanceof Map || Array.isArray(value) ? [...value].map(asInVectors) : value;
}

function base32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const digits = (bits.match(/.{1,5}/g) ?? []).map((five) => Number.parseInt(five.padEnd(5, '0'), 2));
  const text = digits.map((digit) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[digit]).join('');
  return text.padEnd(Math.ceil(text.length / 8) * 8, '=');
}

/** Where the library or we differ from RFC 9651, and why that is as it should be. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  '0x09 starting a dictionary key': 'field values are trimmed of HTAB, too (RFC 9110 §5.5)',
  '0x2c in dictionary key': 'a repeated key is invalid here; RFC 8941 would take the last',
  'duplicate key dictionary': 'a repeated key is invalid here; RFC 8941 would take the last',
  'syntactic max date - 999,999,999,999,999': 'dates are not in RFC 8941, on which RFC 9421 is built',
  'syntactic min date - -999,999,999,999,999': 'dates are not in RFC 8941, on which RFC 9421 is built',
};

describe('the parser of structured fields', () => {
  it('agrees with the 853 vectors of the HTTP working group but for five exceptions', () => {
    const differing = VECTORS.filter((vector) => {
      const value = parse(vector);
      if (vector.must_fail) return value !== undefined;
      if (vector.can_fail && value === undefined) return false;
      return JSON.stringify(value) !== JSON.stringify(vector.expected);
    });
    expect(VECTORS).toHaveLength(853);
    expect([...new Set(differing.map(({ name }) => name))].sort()).toEqual(Object.keys(EXCEPTIONS).sort());
  });

  it('keeps the text of each member as received', () => {
    const text = 'a=( "x"  "y" );b="1,\\",2" ,\t c;d=":,:", e=:AAA=:';
    const result = parseDictionary(text, LIMITS);
    const members = result.kind === 'dictionary' ? [...result.members] : [];
    expect(members.map(([key, member]) => [key, member.text])).toEqual([
      ['a', '( "x"  "y" );b="1,\\",2"'],
      ['c', 'd=":,:"'],
      ['e', ':AAA=:'],
    ]);
  });

  it('reads the members that the library reads in the whole text', () => {
    const character = fc.constantFrom(...'ab=,;() \t"\\:?1-.*'.split(''));
    const member = fc.stringMatching(
      /^[a-d](?:=(?:1|"[ab,;"\\]{0,4}"|:AA==:|\("a" "b,"\)|\?1|x))?(?:;[ab](?:="[,"]")?)?$/,
    );
    const text = fc.oneof(
      fc.array(member, { maxLength: 4 }).map((members) => members.join(', ')),
      fc.array(fc.oneof(member, character), { maxLength: 12 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (each) => {
        const ours = parseDictionary(each, LIMITS);
        if (ours.kind === 'invalid' && ours.problem === 'duplicate_key') return;
        // A field value has no white space around it.
        const whole = valueOrNone(() => parseWhole(each.trim()));
        const members = ours.kind === 'dictionary' ? [...ours.members] : undefined;
        expect(members?.map(([key, { value }]) => [key, asInVectors(value)])).toEqual(whole);
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    ['a=1, a=3', 'duplicate_key'],
    ['a, a', 'duplicate_key'],
    ['a=1,', 'malformed'],
    [',a=1', 'malformed'],
    ['a=1,,b=2', 'malformed'],
    ['a="1, b=2', 'malformed'],
    ['a="1\\', 'malformed'],
    ['a=1 b=2', 'malformed'],
    ['a=("x"', 'malformed'],
    ['a="ü"', 'malformed'],
    ['A=1', 'malformed'],
    ['a=1\u0000', 'malformed'],
    // A display string (RFC 9651) may end in a backslash, a string (RFC 8941) may not.
    ['a=%"\\", b="', 'malformed'],
    ['a=%"\\", b=%"\\"', 'malformed'],
    ['a, b, c', 'too_many_members'],
  ])('rejects %j as %s', (text, problem) => {
    expect(parseDictionary(text, { bytes: 100, members: 2 })).toEqual({ kind: 'invalid', problem });
  });

  it('takes the occurrences of a header together', () => {
    const request = signedRequest({ headers: { x: ['a=1', ' b=2\t'], repeated: ['a=1', 'a=1'] } });
    const result = readDictionary(request, 'x', LIMITS);
    expect(result?.kind === 'dictionary' && [...result.members.keys()]).toEqual(['a', 'b']);
    expect(readDictionary(request, 'repeated', LIMITS)).toEqual({
      kind: 'invalid',
      problem: 'duplicate_key',
    });
    expect(readDictionary(request, 'absent', LIMITS)).toBeUndefined();
  });

  it('counts the bytes of all occurrences', () => {
    const request = signedRequest({ headers: { x: ['a=12345678', 'b=12345678'] } });
    expect(readDictionary(request, 'x', { bytes: 20, members: 2 })?.kind).toBe('dictionary');
    expect(readDictionary(request, 'x', { bytes: 19, members: 2 })).toEqual({
      kind: 'invalid',
      problem: 'too_long',
    });
  });
});

describe('the bytes of a member', () => {
  const member = (text: string) => {
    const result = parseDictionary(`a=${text}`, LIMITS);
    const found = result.kind === 'dictionary' ? result.members.get('a') : undefined;
    if (found === undefined) throw new Error(`${text} does not parse`);
    return found;
  };

  it.each([':aGk=:', ':aGk:', '"aGk="', '"aGk"', ':aGk=:;x=1'])('are those that %s encodes', (text) => {
    expect(bytesOf(member(text))?.toString()).toBe('hi');
  });

  it.each(['aGk', '12', '?1', '("aGk=")', '"aG k="', '"hello world"', '@12', ':aGl=:', '"aGl="'])(
    'are absent in %s',
    (text) => {
      expect(bytesOf(member(text))).toBeUndefined();
    },
  );
});
