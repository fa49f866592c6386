/** Writes header blocks with each choice that RFC 7541 leaves to an encoder open to the test. */
import { CODE_LENGTHS, huffmanCodes } from '../../src/hpack/huffman.ts';
import { integerBytes } from '../../src/hpack/integer.ts';
import { STATIC_TABLE } from '../../src/hpack/static-table.ts';

export type FieldList = [name: string, value: string][];

/** How a field is written. `name` and `value` ask for Huffman. An index is used where there is one and `index` asks for it. */
export interface Choice {
  readonly as: 'indexed' | 'incremental' | 'without' | 'never';
  readonly index: boolean;
  readonly huffmanName: boolean;
  readonly huffmanValue: boolean;
}

/** An encoder with its own dynamic table, kept as plainly as possible. */
export class BlockWriter {
  /** The newest first. */
  readonly #entries: FieldList = [];
  #limitBytes: number;

  constructor(limitBytes = 4096) {
    this.#limitBytes = limitBytes;
  }

  sizeUpdate(bytes: number): Buffer {
    this.#limitBytes = bytes;
    this.#evict();
    return sizeUpdate(bytes);
  }

  field(name: string, value: string, choice: Choice): Buffer {
    const table = [...STATIC_TABLE, ...this.#entries];
    const both = table.findIndex((entry) => entry[0] === name && entry[1] === value) + 1;
    if (choice.as === 'indexed' && both > 0) return indexed(both);
    const index = choice.index ? table.findIndex((entry) => entry[0] === name) + 1 : 0;
    const as = choice.as === 'indexed' ? 'incremental' : choice.as;
    if (as === 'incremental') {
      this.#entries.unshift([name, value]);
      this.#evict();
    }
    return Buffer.concat([
      Buffer.from(integerBytes(LITERAL[as].bits, LITERAL[as].mask, index)),
      ...(index === 0 ? [string(name, choice.huffmanName)] : []),
      string(value, choice.huffmanValue),
    ]);
  }

  #evict(): void {
    const bytes = () => this.#entries.reduce((sum, entry) => sum + entry[0].length + entry[1].length + 32, 0);
    while (bytes() > this.#limitBytes) this.#entries.pop();
  }
}

const CODES = huffmanCodes();
const LITERAL = {
  incremental: { bits: 0x40, mask: 0x3f },
  without: { bits: 0x00, mask: 0x0f },
  never: { bits: 0x10, mask: 0x0f },
};

export function indexed(index: number): Buffer {
  return Buffer.from(integerBytes(0x80, 0x7f, index));
}

export function sizeUpdate(bytes: number): Buffer {
  return Buffer.from(integerBytes(0x20, 0x1f, bytes));
}

/** A string literal of latin1 characters. */
export function string(text: string, huffman: boolean): Buffer {
  const bytes = huffman ? huffmanBytes([...Buffer.from(text, 'latin1')]) : Buffer.from(text, 'latin1');
  return Buffer.concat([Buffer.from(integerBytes(huffman ? 0x80 : 0, 0x7f, bytes.length)), bytes]);
}

/** The codes of the symbols, padded with ones to a whole number of bytes. */
export function huffmanBytes(symbols: readonly number[]): Buffer {
  const bits = symbols
    .map((symbol) => (CODES[symbol] ?? 0).toString(2).padStart(CODE_LENGTHS[symbol] ?? 0, '0'))
    .join('');
  const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1');
  return Buffer.from((padded.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}
