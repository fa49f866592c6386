/** The Huffman code for strings (RFC 7541 §5.2 and Appendix B). */

/**
 * The length in bits of the code of each symbol. Appendix B is a canonical code: codes of one length are consecutive, in the
 * order of their symbols, so the lengths are enough.
 */
// biome-ignore format: sixteen symbols in a row
export const CODE_LENGTHS = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
   6, 10, 10, 12, 13,  6,  8, 11, 10, 10,  8, 11,  8,  6,  6,  6,
   5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8, 15,  6, 12, 10,
  13,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
   7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8, 13, 19, 13, 14,  6,
  15,  5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,
   6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30, // EOS
];

/** The 257th symbol. It has no place in a string: only its first bits serve as padding. */
const EOS = 256;

/** Codes of §5.2 are padded with the most significant bits of EOS, all ones, and with fewer than eight. */
const MAX_PADDING_BITS = 7;

/** Each symbol's code, as a number of `CODE_LENGTHS[symbol]` bits. */
export function huffmanCodes(): number[] {
  const codes: number[] = new Array(CODE_LENGTHS.length).fill(0);
  let code = 0;
  for (let length = 1; length <= 30; length++) {
    code *= 2;
    CODE_LENGTHS.forEach((bits, symbol) => {
      if (bits === length) codes[symbol] = code++;
    });
  }
  return codes;
}

/**
 * The decoder is a state machine that reads four bits at a time: a state is an inner node of the code's tree, of which there
 * are 256, and state 0 is its root. No code is shorter than five bits, so that a step completes at most one symbol.
 * A transition is `EMITS | symbol << 8 | next state`, or FAILS. This takes 16 KiB and stays in the first level of the cache.
 */
const EMITS = 0x1_0000;
const FAILS = 0x2_0000;
const STEP_BITS = 4;
const STATES = 256;

/** The states in which a string may end: the root and what up to seven ones lead to from there. */
const ACCEPTS = new Uint8Array(STATES);
const TRANSITIONS = transitions();

function transitions(): Uint32Array {
  const children = tree();
  for (let node = 0, ones = 0; ones <= MAX_PADDING_BITS; ones++) {
    ACCEPTS[node] = 1;
    node = children[node]?.[1] ?? 0;
  }
  return Uint32Array.from({ length: STATES << STEP_BITS }, (_, index) =>
    transition(children, index >> STEP_BITS, index & 0xf),
  );
}

/** A child is a node, or `~symbol` for a leaf. */
type Children = (readonly [number, number])[];

function tree(): Children {
  const children: [number, number][] = [[0, 0]];
  huffmanCodes().forEach((code, symbol) => {
    let node = 0;
    for (let bit = (CODE_LENGTHS[symbol] as number) - 1; bit >= 0; bit--) {
      const pair = children[node] as [number, number];
      const side = (code / 2 ** bit) & 1;
      if (bit === 0) pair[side] = ~symbol;
      else if (pair[side] === 0) pair[side] = children.push([0, 0]) - 1;
      node = pair[side] as number;
    }
  });
  return children;
}

function transition(children: Children, state: number, nibble: number): number {
  let node = state;
  let emitted = 0;
  for (let bit = STEP_BITS - 1; bit >= 0; bit--) {
    const child = children[node]?.[(nibble >> bit) & 1] as number;
    if (child === ~EOS) return FAILS;
    if (child < 0) emitted = EMITS | (~child << 8);
    node = Math.max(child, 0);
  }
  return emitted | node;
}

/** The string did not end in its padding, or contained EOS. */
export const BAD_PADDING = -1;
export const HAS_EOS = -2;

/** Decodes `block[start, end)` to `out`, which has room for 8/5 of it, and returns the number of bytes, or one of the above. */
export function decodeHuffman(block: Uint8Array, start: number, end: number, out: Uint8Array): number {
  let state = 0;
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = block[at] as number;
    const high = TRANSITIONS[(state << STEP_BITS) | (byte >> 4)] as number;
    if (high >= EMITS) {
      if (high >= FAILS) return HAS_EOS;
      out[length++] = high >> 8;
    }
    const low = TRANSITIONS[((high & 0xff) << STEP_BITS) | (byte & 0xf)] as number;
    if (low >= EMITS) {
      if (low >= FAILS) return HAS_EOS;
      out[length++] = low >> 8;
    }
    state = low & 0xff;
  }
  return ACCEPTS[state] === 1 ? length : BAD_PADDING;
}
