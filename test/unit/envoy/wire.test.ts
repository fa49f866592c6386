/** Tests the wire format against the stock protobuf library. */
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import { lengthDelimited, WireError, WireReader } from '../../../src/envoy/wire.ts';

const { Writer } = protobuf;

interface Seen {
  readonly values: string[];
  readonly inner: Seen[];
}

/** Reads field 1 as bytes and field 2 as a message of the same kind; skips the rest. */
function read(message: Buffer): Seen {
  return new WireReader(message).fields(readField, { values: [], inner: [] });
}

function readField(reader: WireReader, tag: number, into: Seen): void {
  if (tag === lengthDelimited(1)) into.values.push(bytesOf(reader).toString('hex'));
  else if (tag === lengthDelimited(2)) into.inner.push(reader.message(readField, { values: [], inner: [] }));
  else reader.skip(tag);
}

function bytesOf(reader: WireReader): Buffer {
  const span = { start: 0, end: 0 };
  reader.mark(span);
  return reader.view(span);
}

/** Skips everything. */
function skipAll(message: Buffer): void {
  new WireReader(message).fields((reader, tag) => reader.skip(tag), undefined);
}

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}

describe('the reader reads', () => {
  test.each<[name: string, message: string, seen: Seen]>([
    ['nothing at all', '', { values: [], inner: [] }],
    ['bytes', '0a 02 aabb', { values: ['aabb'], inner: [] }],
    ['bytes of length 0', '0a 00', { values: [''], inner: [] }],
    ['a field twice, in order', '0a 01 aa 0a 01 bb', { values: ['aa', 'bb'], inner: [] }],
    ['a length in more bytes than it needs', '0a 8280808000 aabb', { values: ['aabb'], inner: [] }],
    ['a tag in more bytes than it needs', '8a80808000 01 aa', { values: ['aa'], inner: [] }],
    [
      'a message in a message',
      '12 05 0a 01 aa 12 00 0a 01 bb',
      { values: ['bb'], inner: [{ values: ['aa'], inner: [{ values: [], inner: [] }] }] },
    ],
    ['a varint of ten bytes', '18 ffffffffffffffffff01 0a 01 aa', { values: ['aa'], inner: [] }],
    ['64 and 32 bits', '19 0102030405060708 1d 01020304 0a 01 aa', { values: ['aa'], inner: [] }],
    ['the highest field number', 'faffffff0f 01 cc 0a 01 aa', { values: ['aa'], inner: [] }],
    [
      'a group with each wire type inside',
      '1b 08 01 09 0102030405060708 0a 01 cc 0d 01020304 1c 0a 01 aa',
      {
        values: ['aa'],
        inner: [],
      },
    ],
    [
      'groups in a group, of other numbers and its own',
      '1b 23 1b 1c 24 1c 0a 01 aa',
      { values: ['aa'], inner: [] },
    ],
    ['a known field of another wire type as unknown', '08 01 0b 0c 0a 01 aa', { values: ['aa'], inner: [] }],
  ])('%s', (_name, message, seen) => {
    expect(read(hex(message))).toEqual(seen);
  });

  test('100 nested groups', () => {
    expect(read(hex(`${'1b'.repeat(100)} ${'1c'.repeat(100)} 0a01aa`)).values).toEqual(['aa']);
  });

  test('bytes as a view of the message, not a copy', () => {
    const message = hex('0a 02 aabb');
    const views: Buffer[] = [];
    new WireReader(message).fields((reader) => void views.push(bytesOf(reader)), undefined);
    message[2] = 0xcc;
    expect(views[0]?.toString('hex')).toBe('ccbb');
  });

  test('text that is not UTF-8 with U+FFFD, or with one character per byte', () => {
    const texts: string[] = [];
    const readBoth = (reader: WireReader, tag: number): void => {
      const span = { start: 0, end: 0 };
      if (tag === lengthDelimited(1)) texts.push(reader.utf8());
      else {
        reader.mark(span);
        texts.push(reader.latin1(span.start, span.end));
      }
    };
    new WireReader(hex('0a 03 61ff62 12 03 61ff62')).fields(readBoth, undefined);
    expect(texts).toEqual(['a\u{fffd}b', 'a\u{ff}b']);
  });
});

describe('the reader throws WireError for', () => {
  const malformed: [name: string, message: string][] = [
    ['a tag that breaks off', '8a'],
    ['a tag of over 32 bits', 'faffffff1f 01 aa'],
    ['a tag of over five bytes', '8a8080808000 01 aa'],
    ['field number 0', '02 01 aa'],
    ['wire type 6', '0e 01'],
    ['wire type 7', '0f 01'],
    ['the end of a group that never began', '1c'],
    ['a group without end', '1b'],
    ['a group that ends under another number', '1b 24'],
    ['a group whose inner group ends it', '1b 23 1c'],
    ['a group with a broken field', '1b 09 01 1c'],
    ['101 groups in each other', `${'1b'.repeat(101)} ${'1c'.repeat(101)}`],
    ['groups without end, thousands deep', '1b'.repeat(5000)],
    ['a varint that breaks off', '18 80'],
    ['a varint that is missing', '18'],
    ['a varint of over ten bytes', '18 ffffffffffffffffffff01'],
    ['seven bytes where 64 bits belong', '19 01020304050607'],
    ['three bytes where 32 bits belong', '1d 010203'],
    ['a length that is missing', '0a'],
    ['a length that breaks off', '0a 80'],
    ['a length beyond the message', '0a 02 aa'],
    ['a length of 2 GiB', '0a 8080808008'],
    ['a length of 4 GiB less one byte', '0a ffffffff0f'],
    ['a length of over 32 bits', '0a ffffffff1f'],
    ['a length of over five bytes', '0a 808080808000'],
  ];

  test.each(malformed)('%s, whether read or skipped', (_name, message) => {
    expect(() => read(hex(message))).toThrow(WireError);
    expect(() => skipAll(hex(message))).toThrow(WireError);
  });

  test.each(malformed)('%s in a nested message', (_name, message) => {
    const inner = hex(message);
    expect(() => read(Buffer.from(Writer.create().uint32(0x12).bytes(inner).finish()))).toThrow(WireError);
  });

  test.each<[name: string, message: string]>([
    ['bytes', '12 02 0a 02 aabb'],
    ['a varint', '12 02 18 80 01'],
    ['64 bits', '12 02 19 01 02030405060708'],
    ['a group', '12 01 1b 1c'],
    ['another message', '12 02 12 02 0a00'],
  ])('%s that would reach beyond the message around', (_name, message) => {
    expect(() => read(hex(message))).toThrow(WireError);
  });

  test('random bytes, or reads them: nothing else is thrown', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc
        .array(fc.constantFrom(0x08, 0x0a, 0x0b, 0x0c, 0x12, 0x1b, 0x1c, 0, 1, 2, 0x80, 0xff))
        .map((some) => Uint8Array.from(some)),
    );
    fc.assert(
      fc.property(bytes, (some) => {
        const [outcome, skipped] = [
          attempt(() => read(Buffer.from(some))),
          attempt(() => skipAll(Buffer.from(some))),
        ];
        // What cannot even be passed over cannot be read.
        if (skipped === 'refused') expect(outcome).toBe('refused');
      }),
      { numRuns: 5000 },
    );
  });
});

function attempt(action: () => unknown): 'read' | 'refused' {
  try {
    action();
    return 'read';
  } catch (error) {
    if (error instanceof WireError) return 'refused';
    throw error;
  }
}
