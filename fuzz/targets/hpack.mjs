/** Decodes header blocks of one connection: any bytes, with the table within its limit, and the same fields when encoded again. */
import assert from 'node:assert/strict';
import { HpackDecoder } from '../../packages/unary-grpc/src/hpack/decoder.ts';
import { encodeFields } from '../../packages/unary-grpc/src/hpack/encoder.ts';
import { HPACK_ERRORS } from '../../packages/unary-grpc/src/hpack/error.ts';

const TABLE_BYTES = 4096;

export const covers = ['decoder', 'dynamic-table', 'huffman', 'integer'].map(
  (name) => `packages/unary-grpc/dist/hpack/${name}.js`,
);
export const maxBytes = 512;

/** @param {Buffer} data blocks, each after a byte with its length */
export function fuzz(data) {
  const decoder = new HpackDecoder(TABLE_BYTES);
  for (let at = 0; at < data.length; ) {
    const end = at + 1 + (data[at] ?? 0);
    /** @type {[string, string][]} */
    const fields = [];
    const error = decoder.decode(data.subarray(at + 1, end), (name, value) => {
      fields.push([name, value]);
    });
    assert.ok(decoder.tableBytes <= TABLE_BYTES);
    if (error !== undefined) {
      assert.ok(error in HPACK_ERRORS);
      return;
    }
    checkAgain(fields);
    at = end;
  }
}

/** @param {[string, string][]} fields */
function checkAgain(fields) {
  let index = 0;
  const error = new HpackDecoder().decode(encodeFields(fields), (name, value) => {
    const [expectedName, expectedValue] = fields[index++] ?? [];
    assert.ok(name === expectedName && value === expectedValue);
  });
  assert.equal(error, undefined);
  assert.equal(index, fields.length);
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
