/** Tests the Huffman code against Appendix B of RFC 7541. */
import { describe, expect, it } from 'vitest';
import { BAD_PADDING, CODE_LENGTHS, decodeHuffman, HAS_EOS, huffmanCodes } from '../../src/hpack/huffman.ts';
import { huffmanBytes } from '../support/block-writer.ts';
import { hex } from '../support/decoded.ts';

function decode(block: Buffer): number[] | number {
  const out = new Uint8Array(Math.ceil(block.length * 1.6));
  const length = decodeHuffman(block, 0, block.length, out);
  return length < 0 ? length : [...out.subarray(0, length)];
}

describe('the Huffman code', () => {
  it.each([
    { symbol: 0, code: 0x1ff8, bits: 13 },
    { symbol: 10, code: 0x3ffffffc, bits: 30 },
    { symbol: 48, code: 0x0, bits: 5 },
    { symbol: 97, code: 0x3, bits: 5 },
    { symbol: 127, code: 0xffffffc, bits: 28 },
    { symbol: 195, code: 0x7fff1, bits: 19 },
    { symbol: 208, code: 0x7fff2, bits: 19 },
    { symbol: 249, code: 0xffffffe, bits: 28 },
    { symbol: 255, code: 0x3ffffee, bits: 26 },
    { symbol: 256, code: 0x3fffffff, bits: 30 },
  ])('gives symbol $symbol the code of Appendix B', ({ symbol, code, bits }) => {
    expect(huffmanCodes()[symbol]).toBe(code);
    expect(CODE_LENGTHS[symbol]).toBe(bits);
  });

  it('is complete: no sequence of bits is without a meaning', () => {
    expect(CODE_LENGTHS.reduce((sum, bits) => sum + 2 ** -bits, 0)).toBe(1);
  });

  it('decodes each pair of symbols', () => {
    const failed: [number, number][] = [];
    for (let one = 0; one < 256; one++)
      for (let other = 0; other < 256; other++) {
        const symbols = decode(huffmanBytes([one, other]));
        if (typeof symbols === 'number' || symbols.join() !== [one, other].join()) failed.push([one, other]);
      }
    expect(failed).toEqual([]);
  });

  it('is refused with EOS, whatever follows', () => {
    expect(decode(huffmanBytes([97, 256]))).toBe(HAS_EOS);
    expect(decode(huffmanBytes([256, 97, 98]))).toBe(HAS_EOS);
    expect(decode(hex('ffffffff'))).toBe(HAS_EOS);
  });

  it.each([
    { bytes: '', that: 'nothing', symbols: [] },
    { bytes: '1f', that: 'three ones', symbols: [97] },
    { bytes: 'ff', that: 'eight ones', symbols: BAD_PADDING },
    { bytes: 'f8ff', that: 'eight ones after a symbol of eight bits', symbols: BAD_PADDING },
    { bytes: 'f8', that: 'no bit after a symbol of eight bits', symbols: [38] },
    { bytes: '1e', that: 'two ones and a zero', symbols: BAD_PADDING },
    { bytes: '18', that: 'zeros', symbols: BAD_PADDING },
    { bytes: 'ff7f', that: 'five ones after a symbol of eleven bits', symbols: [43] },
  ])('ends in $that: $symbols', ({ bytes, symbols }) => {
    expect(decode(hex(bytes))).toEqual(symbols);
  });
});
