/** Tests that a repeated header block gives the same request, and that no other block is taken for one. */
import { describe, expect, test } from 'vitest';
import { HeaderReader } from '../../src/http2/header-reader.ts';
import { LastBlock } from '../../src/http2/last-block.ts';
import { RequestFields } from '../../src/http2/request-fields.ts';

const MAX_LIST_BYTES = 8192;

/** Indexed fields of the static table: `:method` POST, `:scheme` http, `:path` /. */
const STATIC_FIELDS = [0x83, 0x86, 0x84];
const text = (value: string): number[] => [value.length, ...Buffer.from(value)];
/** `:authority`, and a field of the test's, without indexing (RFC 7541 §6.2.2). */
const AUTHORITY = [0x01, ...text('a')];
const withoutIndexing = (value: string): number[] => [0x00, ...text('x-test'), ...text(value)];
/** The same field with incremental indexing (§6.2.1): it changes the dynamic table. */
const indexed = (value: string): number[] => [0x40, ...text('x-test'), ...text(value)];
/** The newest entry of the dynamic table. */
const NEWEST = 0xbe;

function reader() {
  const headers = new HeaderReader(new RequestFields(MAX_LIST_BYTES, ['x-test']), MAX_LIST_BYTES);
  /** The value of the field; or why the block, or the list, is not valid. */
  const read = (...bytes: number[]) =>
    headers.decode(Buffer.from([...STATIC_FIELDS, ...AUTHORITY, ...bytes]), false)?.reason ??
    headers.fields.problem ??
    headers.fields.value(0);
  return { headers, read };
}

describe('a header block that is repeated', () => {
  test('gives the same fields', () => {
    const { read } = reader();
    expect([1, 2, 3].map(() => read(...withoutIndexing('one')))).toEqual(['one', 'one', 'one']);
  });

  test('gives the new fields if a byte of it differs', () => {
    const { read } = reader();
    const values = ['one', 'two', 'twp', 'one'];
    expect(values.map((value) => read(...withoutIndexing(value)))).toEqual(values);
  });

  test('gives the new fields if the dynamic table has changed in between', () => {
    const { read } = reader();
    expect(read(...indexed('one'))).toBe('one');
    expect(read(NEWEST)).toBe('one');
    expect(read(NEWEST)).toBe('one');
    expect(read(...indexed('two'))).toBe('two');
    expect(read(NEWEST)).toBe('two');
  });

  test('changes the dynamic table each time if it adds to it', () => {
    const { read, headers } = reader();
    for (const _ of [1, 2, 3]) expect(read(...indexed('one'))).toBe('one');
    const third = Buffer.from([...STATIC_FIELDS, ...AUTHORITY, NEWEST + 2]);
    expect([headers.decode(third, false), headers.fields.value(0)]).toEqual([undefined, 'one']);
  });

  test('is read as trailers if it comes as trailers, and again as headers after that', () => {
    const { read, headers } = reader();
    expect(read(...withoutIndexing('one'))).toBe('one');
    const block = Buffer.from([...STATIC_FIELDS, ...AUTHORITY, ...withoutIndexing('one')]);
    headers.decode(block, true);
    expect(headers.fields.problem).toBe('a pseudo-header field in trailers');
    expect(read(...withoutIndexing('one'))).toBe('one');
  });

  test('is malformed each time if it is malformed', () => {
    const { read } = reader();
    const upperCase = [0x00, ...text('X-Test'), ...text('one')];
    const problem = 'a field name with a character that is not allowed';
    expect([1, 2].map(() => read(...upperCase))).toEqual([problem, problem]);
  });
});

test('a block of more than 128 bytes is not kept', () => {
  const last = new LastBlock();
  const kept = Buffer.alloc(128, 1);
  last.remember(kept);
  expect([last.equals(kept), last.equals(Buffer.alloc(127, 1))]).toEqual([true, false]);
  last.forget();
  last.remember(Buffer.alloc(129, 1));
  expect([last.equals(kept), last.equals(Buffer.alloc(129, 1)), last.equals(Buffer.alloc(0))]).toEqual([
    false,
    false,
    false,
  ]);
});
