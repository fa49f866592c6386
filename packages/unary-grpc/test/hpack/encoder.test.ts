/** Tests the encoder. */
import { describe, expect, it } from 'vitest';
import { HpackDecoder } from '../../src/hpack/decoder.ts';
import { encodeFields, TableSizeUpdate } from '../../src/hpack/encoder.ts';
import { integerBytes, readInteger } from '../../src/hpack/integer.ts';
import { STATIC_TABLE } from '../../src/hpack/static-table.ts';
import { decoded } from '../support/decoded.ts';

describe('encoding fields', () => {
  it.each([
    { field: [':status', '200'] as const, block: '88', by: 'its index' },
    { field: [':status', '418'] as const, block: '0803343138', by: 'the first index of its name' },
    {
      field: ['content-type', 'a/b'] as const,
      block: '0f1003612f62',
      by: 'the index of its name, of two bytes',
    },
    { field: ['grpc-status', '0'] as const, block: '000b677270632d7374617475730130', by: 'strings' },
    { field: ['x', '\xff'] as const, block: '00017801ff', by: 'strings with a byte for each character' },
    {
      field: ['x', 'v'.repeat(127)] as const,
      block: `0001787f00${'76'.repeat(127)}`,
      by: 'a length of two bytes',
    },
  ])('writes $field.0 by $by', ({ field, block }) => {
    expect(encodeFields([field]).toString('hex')).toBe(block);
  });

  it('writes each entry of the static table as one byte', () => {
    expect([...encodeFields(STATIC_TABLE)]).toEqual(STATIC_TABLE.map((_, index) => 0x80 | (index + 1)));
  });

  it('adds nothing to the table of the peer', () => {
    const decoder = new HpackDecoder();
    const fields = [
      [':status', '200'],
      ['content-type', 'application/grpc'],
      ['grpc-message', 'x'.repeat(300)],
    ] as const;
    expect(decoded(decoder, encodeFields(fields))).toEqual(fields);
    expect(decoder.tableBytes).toBe(0);
  });
});

describe('the table size update that a peer may expect', () => {
  it.each([
    { limits: [], first: '', that: 'never sent its limit' },
    { limits: [4096], first: '', that: 'sent the initial limit' },
    { limits: [65_536], first: '', that: 'raised its limit' },
    { limits: [0], first: '20', that: 'allows no table' },
    { limits: [4095], first: '20', that: 'lowered its limit' },
    { limits: [100, 4096], first: '20', that: 'lowered its limit and raised it again' },
  ])('is right for one that $that', ({ limits, first }) => {
    const update = new TableSizeUpdate();
    for (const bytes of limits) update.limit(bytes);
    expect(update.take().toString('hex')).toBe(first);
    expect(update.take().toString('hex')).toBe('');
  });

  it('is sent once: a table of 0 bytes satisfies each later limit', () => {
    const update = new TableSizeUpdate();
    update.limit(100);
    update.take();
    update.limit(50);
    expect(update.take()).toHaveLength(0);
  });
});

describe('an integer', () => {
  it('is read as it was written, for each prefix', () => {
    const values = [0, 1, 6, 7, 8, 14, 15, 30, 31, 62, 63, 126, 127, 128, 254, 255, 16_383, 16_384, 2 ** 28];
    for (let bits = 1; bits <= 8; bits++) {
      const mask = 2 ** bits - 1;
      const read = values.map((value) =>
        readInteger({ block: Buffer.from(integerBytes(0, mask, value)), at: 0, error: undefined }, mask),
      );
      expect(read).toEqual(values);
    }
  });
});
