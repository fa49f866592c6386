/** Decodes a block into a list of fields, for tests of the decoder. */
import type { HpackDecoder } from '../../src/hpack/decoder.ts';
import type { FieldList } from './block-writer.ts';

/** The fields of a valid block, or the error of another. */
export function decoded(decoder: HpackDecoder, block: Buffer | string): FieldList | string {
  const fields: FieldList = [];
  const error = decoder.decode(typeof block === 'string' ? hex(block) : block, (name, value) => {
    fields.push([name, value]);
  });
  return error ?? fields;
}

/** Bytes from their hexadecimal digits, which may have spaces between them. */
export function hex(digits: string): Buffer {
  return Buffer.from(digits.replaceAll(/\s/g, ''), 'hex');
}
