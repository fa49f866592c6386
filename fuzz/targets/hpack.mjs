/** Decodes the header blocks of a connection: any bytes, with the fields and the refusals of a second decoder. */
import assert from 'node:assert/strict';
import { HpackDecoder } from '../../packages/unary-grpc/src/hpack/decoder.ts';
import { HPACK_ERRORS } from '../../packages/unary-grpc/src/hpack/error.ts';
import { PlainDecoder } from '../support/plain-hpack.mjs';

const TABLE_BYTES = 4096;

export const covers = ['decoder', 'dynamic-table', 'huffman', 'integer'].map(
  (name) => `packages/unary-grpc/dist/hpack/${name}.js`,
);
export const maxBytes = 512;

/** @param {Buffer} data blocks, each after a byte with its length */
export function fuzz(data) {
  const decoder = new HpackDecoder(TABLE_BYTES);
  const plain = new PlainDecoder();
  for (let at = 0; at < data.length; ) {
    const end = at + 1 + (data[at] ?? 0);
    const block = data.subarray(at + 1, end);
    /** @type {[string, string][]} */
    const fields = [];
    const error = decoder.decode(block, (name, value) => {
      fields.push([name, value]);
    });
    assert.ok(decoder.tableBytes <= TABLE_BYTES);
    const expected = plain.decode(block);
    assert.equal(error === undefined, expected !== undefined, 'only one decoder refuses the block');
    if (error !== undefined) {
      assert.ok(error in HPACK_ERRORS);
      return;
    }
    assert.ok(isSame(fields, expected ?? []), 'the decoders disagree');
    at = end;
  }
}

/** @param {readonly (readonly [string, string])[]} fields @param {readonly (readonly [string, string])[]} others */
function isSame(fields, others) {
  return (
    fields.length === others.length &&
    fields.every(([name, value], index) => name === others[index]?.[0] && value === others[index]?.[1])
  );
}

/** @param {string[]} blocks in hexadecimal */
const connection = (...blocks) =>
  Buffer.concat(
    blocks.map((block) => Buffer.from((block.length / 2).toString(16).padStart(2, '0') + block, 'hex')),
  );

/** Of RFC 7541, Appendix C. */
export const seeds = [
  connection(
    '828684410f7777772e6578616d706c652e636f6d',
    '828684be58086e6f2d6361636865',
    '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
  ),
  connection(
    '828684418cf1e3c2e5f23a6ba0ab90f4ff',
    '828684be5886a8eb10649cbf',
    '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
  ),
  connection('100870617373776f726406736563726574', '040c2f73616d706c652f70617468', '203fe11f82'),
];

export const words = [
  '\x20',
  '\x3f\xe1\x1f',
  '\xbe',
  '\xbf',
  '\x40\x00\x00',
  '\x7f\x00',
  '\xff\xff\xff\x0f',
  '\x84\xff\xff\xff\xff',
].map((word) => Buffer.from(word, 'latin1'));
