/** Makes new inputs of known ones: changed bytes, moved and repeated parts, words of the target's language. */

/** Bytes at which parsers turn: ends of ranges, signs, and the delimiters of the formats under test. */
const BYTES = Buffer.from(
  '\0\x01\x7f\x80\xff\x20\x3f\x40\xc0\n\t .,:;="\'\\/?#&%{}[]()-_+*0129azAZ',
  'latin1',
);
const MAX_STEPS = 6;
const MAX_PART = 32;

/** @typedef {(below: number) => number} Random an integer from 0 */

/** @param {number} seed @returns {Random} xorshift32: the same seed gives the same run. */
export function createRandom(seed) {
  let state = seed | 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** @param {Buffer} input @param {number} start @param {number} end @param {Uint8Array} part */
function replace(input, start, end, part) {
  return Buffer.concat([input.subarray(0, start), part, input.subarray(end)]);
}

/** @param {Random} random @param {Buffer} input */
function range(random, input) {
  const start = random(input.length + 1);
  return {
    start,
    end: Math.min(input.length, start + 1 + random(random(4) === 0 ? input.length + 1 : MAX_PART)),
  };
}

/** @param {Random} random @param {Buffer} input */
function part(random, input) {
  const { start, end } = range(random, input);
  return input.subarray(start, end);
}

/** A place in the input; often its last byte, on which checks depend more than on others. @param {Random} random @param {Buffer} input */
function place(random, input) {
  return random(8) === 0 ? Math.max(0, input.length - 1) : random(input.length + 1);
}

/** @type {((input: Buffer, random: Random, other: Buffer, words: readonly Buffer[]) => Buffer)[]} */
const STEPS = [
  // A changed bit; most often the one that makes a capital of a letter.
  (input, random) => {
    const at = place(random, input);
    const bit = random(2) === 0 ? 5 : random(8);
    return replace(input, at, at + 1, Buffer.of((input[at] ?? 0) ^ (1 << bit)));
  },
  // A changed byte.
  (input, random) => {
    const at = place(random, input);
    return replace(
      input,
      at,
      at + 1,
      Buffer.of(random(2) === 0 ? random(256) : (BYTES[random(BYTES.length)] ?? 0)),
    );
  },
  // A number a little larger or smaller, as a byte or a digit.
  (input, random) => {
    const at = place(random, input);
    return replace(input, at, at + 1, Buffer.of((input[at] ?? 0) + random(9) - 4));
  },
  // An added byte, once or many times.
  (input, random) => {
    const at = place(random, input);
    return replace(input, at, at, Buffer.alloc(1 + random(random(8) === 0 ? 300 : 3), random(256)));
  },
  // A part removed, copied, or copied over another.
  (input, random) => {
    const { start, end } = range(random, input);
    return replace(input, start, end, Buffer.alloc(0));
  },
  (input, random) => {
    const at = random(input.length + 1);
    return replace(input, at, at, part(random, input));
  },
  (input, random) => {
    const { start, end } = range(random, input);
    return replace(input, start, end, part(random, input));
  },
  // A part of another input, or its end.
  (input, random, other) => {
    const at = random(input.length + 1);
    return replace(input, at, at, part(random, other));
  },
  (input, random, other) =>
    Buffer.concat([input.subarray(0, random(input.length + 1)), other.subarray(random(other.length + 1))]),
  // A word of the language, added or in place of a part.
  (input, random, _, words) => {
    const at = random(input.length + 1);
    return replace(input, at, at, words[random(words.length)] ?? Buffer.of());
  },
  (input, random, _, words) => {
    const { start, end } = range(random, input);
    return replace(input, start, end, words[random(words.length)] ?? Buffer.of());
  },
];

/**
 * @param {Buffer} input @param {Buffer} other @param {readonly Buffer[]} words @param {number} maxBytes
 * @param {Random} random
 */
export function mutate(input, other, words, maxBytes, random) {
  let result = input;
  for (let steps = 1 + random(MAX_STEPS); steps > 0; steps--) {
    const step = STEPS[random(STEPS.length)];
    result = step?.(result, random, other, words) ?? result;
  }
  return result.length > maxBytes ? result.subarray(0, maxBytes) : result;
}
