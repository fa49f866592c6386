/** Tests written fields against the stock protobuf library. */
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import { bytesField, stringField, varintField } from '../../../src/envoy/wire-writer.ts';

const { Reader, Writer } = protobuf;

describe('the writer writes', () => {
  const fieldNumber = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 0xfff_ffff }));

  test('an integer field as the stock library does', () => {
    const value = fc.oneof(fc.constantFrom(0, 127, 128, 16_383, 16_384, 0x7fff_ffff), fc.nat());
    fc.assert(
      fc.property(fieldNumber, value, (number, some) => {
        const expected = Writer.create()
          .uint32(number * 8)
          .uint32(some)
          .finish();
        expect(varintField(number, some).toString('hex')).toBe(Buffer.from(expected).toString('hex'));
      }),
    );
  });

  test('a string, bytes or message field as the stock library does', () => {
    fc.assert(
      fc.property(fieldNumber, fc.array(fc.string({ unit: 'binary', maxLength: 200 })), (number, texts) => {
        const expected = Writer.create()
          .uint32(number * 8 + 2)
          .string(texts.join(''))
          .finish();
        const actual = [
          stringField(number, texts.join('')),
          bytesField(number, ...texts.map((text) => Buffer.from(text))),
        ];
        for (const field of actual) expect(field.toString('hex')).toBe(Buffer.from(expected).toString('hex'));
      }),
    );
  });

  test('a field of 70,000 bytes that the stock library reads back', () => {
    const reader = Reader.create(bytesField(3, Buffer.alloc(70_000, 'x')));
    expect(reader.uint32()).toBe(0x1a);
    expect(reader.bytes()).toHaveLength(70_000);
    expect(reader.pos).toBe(reader.len);
  });
});
