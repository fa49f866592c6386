/** Tests which header blocks the decoder refuses, and what it keeps in memory. */
import { describe, expect, it } from 'vitest';
import { HpackDecoder } from '../../src/hpack/decoder.ts';
import { BlockWriter, huffmanBytes, indexed, sizeUpdate, string } from '../support/block-writer.ts';
import { decoded, hex } from '../support/decoded.ts';

describe('a block is refused', () => {
  it.each([
    { block: '80', error: 'index-zero', because: 'its field has the index 0' },
    { block: 'be', error: 'index-out-of-range', because: 'its index is beyond an empty dynamic table' },
    { block: '7e 01 61', error: 'index-out-of-range', because: 'the index of a name is beyond the table' },
    {
      block: 'ff 80 80 80 80 00',
      error: 'integer-too-large',
      because: 'an index has five continuation bytes',
    },
    { block: 'ff ff ff ff ff 0f', error: 'integer-too-large', because: 'an index exceeds 2^32' },
    {
      block: '41 7f 80 80 80 80 00',
      error: 'integer-too-large',
      because: 'a length has five continuation bytes',
    },
    { block: 'ff', error: 'block-truncated', because: 'it ends inside an index' },
    { block: 'ff 80', error: 'block-truncated', because: 'it ends after a continuation byte' },
    { block: '3f', error: 'block-truncated', because: 'it ends inside a size update' },
    { block: '40', error: 'block-truncated', because: 'it ends before a name' },
    { block: '41', error: 'block-truncated', because: 'it ends before a value' },
    { block: '41 03 61 62', error: 'block-truncated', because: 'a value is longer than the block' },
    { block: '41 83 ff ff', error: 'block-truncated', because: 'a Huffman value is longer than the block' },
    { block: '41 ff ff ff ff 7f', error: 'block-truncated', because: 'a length is far beyond the block' },
    { block: '3f e2 1f', error: 'size-update-too-large', because: 'a size update is one above the limit' },
    { block: '82 20', error: 'size-update-misplaced', because: 'a size update follows a field' },
    { block: '20 20 20 82', error: 'size-updates-too-many', because: 'it has three size updates' },
    { block: '41 82 1f ff', error: 'huffman-padding', because: 'eleven ones are padding' },
    { block: '41 81 ff', error: 'huffman-padding', because: 'a string is eight ones' },
    { block: '41 81 18', error: 'huffman-padding', because: 'padding has zeros' },
    { block: '41 84 ff ff ff ff', error: 'huffman-eos', because: 'a string contains EOS' },
  ])('with $error where $because', ({ block, error }) => {
    expect(decoded(new HpackDecoder(), block)).toBe(error);
  });
});

describe('a block is accepted', () => {
  it.each([
    { block: '', fields: [], that: 'is empty' },
    { block: '20', fields: [], that: 'has a size update and no field' },
    { block: '20 3f e1 1f 82', fields: [[':method', 'GET']], that: 'has two size updates, up to the limit' },
    { block: '40 00 00', fields: [['', '']], that: 'has an empty name and value' },
    { block: '00 80 80', fields: [['', '']], that: 'has empty Huffman strings' },
    { block: '10 01 61 02 00 ff', fields: [['a', '\0\xff']], that: 'has any bytes in a value' },
    { block: '41 81 1f', fields: [[':authority', 'a']], that: 'has three bits of padding' },
    {
      block: `41 7f 80 80 80 00 ${'62'.repeat(127)}`,
      fields: [[':authority', 'b'.repeat(127)]],
      that: 'has four continuation bytes',
    },
  ])('that $that', ({ block, fields }) => {
    expect(decoded(new HpackDecoder(), block)).toEqual(fields);
  });
});

describe('the dynamic table', () => {
  const incremental = { as: 'incremental', index: false, huffmanName: false, huffmanValue: false } as const;

  it('is emptied by an entry that is larger than it, which is a field all the same', () => {
    const writer = new BlockWriter();
    const decoder = new HpackDecoder();
    decoded(decoder, writer.field('small', 'entry', incremental));
    const large = 'x'.repeat(4096);
    expect(decoded(decoder, writer.field('large', large, incremental))).toEqual([['large', large]]);
    expect(decoder.tableBytes).toBe(0);
    expect(decoded(decoder, indexed(62))).toBe('index-out-of-range');
  });

  it('is emptied by a size update to 0, and usable again after one to its limit', () => {
    const writer = new BlockWriter();
    const decoder = new HpackDecoder();
    decoded(decoder, writer.field('name', 'value', incremental));
    expect(decoded(decoder, Buffer.concat([sizeUpdate(0), indexed(62)]))).toBe('index-out-of-range');
    decoded(decoder, Buffer.concat([sizeUpdate(4096), writer.field('other', 'value', incremental)]));
    expect(decoded(decoder, indexed(62))).toEqual([['other', 'value']]);
  });

  it('keeps exactly the newest entries that fit', () => {
    const writer = new BlockWriter();
    const decoder = new HpackDecoder();
    // 39 bytes each: 105 of them fit into 4096.
    for (let i = 100; i < 300; i++) decoded(decoder, writer.field('name', String(i), incremental));
    expect(decoder.tableBytes).toBe(105 * 39);
    expect(decoded(decoder, indexed(62))).toEqual([['name', '299']]);
    expect(decoded(decoder, indexed(62 + 104))).toEqual([['name', '195']]);
    expect(decoded(decoder, indexed(62 + 105))).toBe('index-out-of-range');
  });

  it('may have as many entries as empty fields fit', () => {
    const writer = new BlockWriter();
    const decoder = new HpackDecoder();
    for (let i = 0; i < 200; i++) decoded(decoder, writer.field('', '', incremental));
    expect(decoder.tableBytes).toBe(4096);
    expect(decoded(decoder, indexed(61 + 128))).toEqual([['', '']]);
    expect(decoded(decoder, indexed(61 + 129))).toBe('index-out-of-range');
  });

  it('gives a new entry the name of one that is evicted for it', () => {
    const name = 'n'.repeat(2000);
    const decoder = new HpackDecoder();
    decoded(decoder, new BlockWriter().field(name, 'v'.repeat(2000), incremental));
    const block = Buffer.concat([hex('7e'), string('w'.repeat(2000), false)]);
    expect(decoded(decoder, block)).toEqual([[name, 'w'.repeat(2000)]]);
    expect(decoder.tableBytes).toBe(4032);
  });

  it('starts with no more than 4096 bytes, whatever its limit', () => {
    const decoder = new HpackDecoder(65_536);
    const writer = new BlockWriter();
    decoded(decoder, writer.field('name', 'v'.repeat(4061), incremental));
    expect(decoder.tableBytes).toBe(0);
    decoded(
      decoder,
      Buffer.concat([writer.sizeUpdate(65_536), writer.field('name', 'v'.repeat(4061), incremental)]),
    );
    expect(decoder.tableBytes).toBe(4097);
  });
});

describe('a small block that stands for many bytes', () => {
  it('costs no memory in the decoder: each of 80,000 fields of 4 KB is the same string', () => {
    const decoder = new HpackDecoder();
    const value = 'v'.repeat(4000);
    const entry = { as: 'incremental', index: false, huffmanName: false, huffmanValue: false } as const;
    decoded(decoder, new BlockWriter().field('bomb', value, entry));
    const bomb = Buffer.alloc(80_000, indexed(62));
    let fields = 0;
    let listBytes = 0;
    const before = process.memoryUsage().heapUsed;
    const error = decoder.decode(bomb, (name, text) => {
      fields++;
      listBytes += name.length + text.length + 32;
    });
    const grown = process.memoryUsage().heapUsed - before;
    expect(error).toBeUndefined();
    expect([fields, listBytes]).toEqual([80_000, 80_000 * 4036]);
    // 320 MB if each had a string of its own.
    expect(grown).toBeLessThan(8_000_000);
    expect(decoder.tableBytes).toBe(4036);
  });

  it('a Huffman string grows to 8/5 of its bytes at most', () => {
    const text = '0'.repeat(128_000);
    const value = huffmanBytes([...Buffer.from(text)]);
    expect(value.length).toBe(80_000);
    expect(decoded(new HpackDecoder(), Buffer.concat([hex('01'), string(text, true)]))).toEqual([
      [':authority', text],
    ]);
  });
});
