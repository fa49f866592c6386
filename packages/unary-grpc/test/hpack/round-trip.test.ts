/** Tests the decoder with blocks that an encoder writes at random, and with changed ones. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HpackDecoder } from '../../src/hpack/decoder.ts';
import { HPACK_ERRORS } from '../../src/hpack/error.ts';
import { STATIC_TABLE } from '../../src/hpack/static-table.ts';
import { BlockWriter, type Choice } from '../support/block-writer.ts';
import { decoded } from '../support/decoded.ts';

const latin1 = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
const text = fc.oneof(
  fc.constantFrom('', 'a', 'name', 'traceparent', '200m', 'x'.repeat(130), 'y'.repeat(2100)),
  fc.constantFrom(...STATIC_TABLE.flat()),
  latin1,
);
const pair = fc.oneof(fc.constantFrom(...STATIC_TABLE), fc.tuple(text, text));
const choice: fc.Arbitrary<Choice> = fc.record({
  as: fc.constantFrom('indexed', 'indexed', 'incremental', 'without', 'never'),
  index: fc.boolean(),
  huffmanName: fc.boolean(),
  huffmanValue: fc.boolean(),
});
interface Block {
  readonly sizes: readonly number[];
  readonly fields: readonly (readonly [field: readonly [string, string], how: Choice])[];
}

/** The blocks of one connection, each with its size updates and its fields. */
const connection: fc.Arbitrary<Block[]> = fc.array(
  fc.record({
    sizes: fc.array(fc.integer({ min: 0, max: 4096 }), { maxLength: 2 }),
    fields: fc.array(fc.tuple(pair, choice), { maxLength: 12 }),
  }),
  { minLength: 1, maxLength: 6 },
);

function written(blocks: readonly Block[]): Buffer[] {
  const writer = new BlockWriter();
  return blocks.map(({ sizes, fields }) =>
    Buffer.concat([
      ...sizes.map((bytes) => writer.sizeUpdate(bytes)),
      ...fields.map(([[name, value], how]) => writer.field(name, value, how)),
    ]),
  );
}

describe('the blocks of a connection', () => {
  it('blocks are decoded to the fields that were written, however they were', () => {
    fc.assert(
      fc.property(connection, (blocks) => {
        const decoder = new HpackDecoder();
        const seen = written(blocks).map((block) => decoded(decoder, block));
        expect(seen).toEqual(blocks.map(({ fields }) => fields.map(([field]) => [...field])));
      }),
      { numRuns: 300 },
    );
  });

  it('changed blocks give an error or fields, and leave the table within its limit', () => {
    const change = fc.record({
      at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      removed: fc.integer({ min: 0, max: 3 }),
      added: fc.uint8Array({ maxLength: 3 }),
    });
    fc.assert(
      fc.property(connection, fc.array(change, { minLength: 1, maxLength: 3 }), (blocks, changes) => {
        const decoder = new HpackDecoder();
        for (const block of written(blocks)) {
          const changed = changes.reduce((bytes, { at, removed, added }) => {
            const start = Math.floor(at * bytes.length);
            return Buffer.concat([bytes.subarray(0, start), added, bytes.subarray(start + removed)]);
          }, block);
          const seen = decoded(decoder, changed);
          if (typeof seen === 'string') expect(Object.keys(HPACK_ERRORS)).toContain(seen);
          expect(decoder.tableBytes).toBeLessThanOrEqual(4096);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('random bytes give an error or fields', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 4 }), (blocks) => {
        const decoder = new HpackDecoder();
        for (const block of blocks) {
          const seen = decoded(decoder, Buffer.from(block));
          expect(Array.isArray(seen) || Object.keys(HPACK_ERRORS).includes(seen)).toBe(true);
        }
        expect(decoder.tableBytes).toBeLessThanOrEqual(4096);
      }),
      { numRuns: 500 },
    );
  });
});
