/** A second HPACK decoder (RFC 7541), as plain as possible: bit by bit, with a list for a table. */
import { CODE_LENGTHS, huffmanCodes } from '../../packages/unary-grpc/src/hpack/huffman.ts';
import { STATIC_TABLE } from '../../packages/unary-grpc/src/hpack/static-table.ts';

/** The symbol of each code, written as its bits. */
const SYMBOLS = new Map(
  huffmanCodes().map((code, symbol) => [code.toString(2).padStart(CODE_LENGTHS[symbol] ?? 0, '0'), symbol]),
);
const EOS = 256;

export class PlainDecoder {
  /** The newest first. @type {(readonly [string, string])[]} */
  #entries = [];
  #limit = 4096;
  /** @type {Buffer} */
  #block = Buffer.alloc(0);
  #at = 0;

  /** @param {Buffer} block @returns {(readonly [string, string])[] | undefined} `undefined` if it is not valid */
  decode(block) {
    this.#block = block;
    this.#at = 0;
    /** @type {(readonly [string, string])[]} */
    const fields = [];
    try {
      for (let updates = 0; this.#at < block.length; ) {
        const field = this.#field(fields.length === 0 && ++updates <= 2);
        if (field !== undefined) fields.push(field);
      }
      return fields;
    } catch {
      return undefined;
    }
  }

  /** @param {boolean} isStart @returns {readonly [string, string] | undefined} */
  #field(isStart) {
    const first = this.#block[this.#at] ?? 0;
    if (first >= 0x80) return this.#entry(this.#integer(7));
    if (first >= 0x40) {
      const field = this.#literal(6);
      this.#entries.unshift(field);
      this.#evict();
      return field;
    }
    if (first < 0x20) return this.#literal(4);
    const limit = this.#integer(5);
    if (!isStart || limit > 4096) throw new Error('size update');
    this.#limit = limit;
    this.#evict();
    return undefined;
  }

  /** @param {number} bits @returns {readonly [string, string]} */
  #literal(bits) {
    const index = this.#integer(bits);
    return [index === 0 ? this.#string() : this.#entry(index)[0], this.#string()];
  }

  /** @param {number} index */
  #entry(index) {
    const entry = [undefined, ...STATIC_TABLE, ...this.#entries][index];
    if (entry === undefined) throw new Error('index');
    return entry;
  }

  #evict() {
    const bytes = () =>
      this.#entries.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
    while (bytes() > this.#limit) this.#entries.pop();
  }

  #byte() {
    const byte = this.#block[this.#at++];
    if (byte === undefined) throw new Error('truncated');
    return byte;
  }

  /** @param {number} bits */
  #integer(bits) {
    const mask = 2 ** bits - 1;
    let value = this.#byte() & mask;
    if (value < mask) return value;
    for (let count = 0; count < 4; count++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 128 ** count;
      if (byte < 0x80) return value;
    }
    throw new Error('integer');
  }

  #string() {
    const isHuffman = (this.#block[this.#at] ?? 0) >= 0x80;
    const length = this.#integer(7);
    const bytes = this.#block.subarray(this.#at, this.#at + length);
    if (bytes.length < length) throw new Error('truncated');
    this.#at += length;
    return isHuffman ? huffman(bytes) : bytes.toString('latin1');
  }
}

/** @param {Buffer} bytes */
function huffman(bytes) {
  let text = '';
  let code = '';
  for (const byte of bytes)
    for (const bit of byte.toString(2).padStart(8, '0')) {
      code += bit;
      const symbol = SYMBOLS.get(code);
      if (symbol === EOS) throw new Error('EOS');
      if (symbol === undefined) continue;
      text += String.fromCharCode(symbol);
      code = '';
    }
  if (code.length > 7 || code.includes('0')) throw new Error('padding');
  return text;
}
