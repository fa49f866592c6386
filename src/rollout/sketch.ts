/** Estimates how many distinct hashes it has seen, in constant memory (HyperLogLog). */

const INDEX_BITS = 9;
/** The standard error is 1.04 / √512, about 5 %. */
const REGISTERS = 2 ** INDEX_BITS;
/** The correction of the bias for this many registers. */
const ALPHA = 0.7213 / (1 + 1.079 / REGISTERS);

/** Sketches of hashes under the same key can be merged. */
export class Sketch {
  readonly #registers: Uint8Array;

  constructor(registers: Uint8Array = new Uint8Array(REGISTERS)) {
    if (registers.length !== REGISTERS) throw new Error(`a sketch has ${REGISTERS} registers`);
    this.#registers = registers;
  }

  static decode(text: string): Sketch {
    return new Sketch(Buffer.from(text, 'base64'));
  }

  encode(): string {
    return Buffer.from(this.#registers).toString('base64');
  }

  /** @param hash of 32 bits. */
  add(hash: number): void {
    const index = hash >>> (32 - INDEX_BITS);
    // The bit behind the hash limits the rank.
    const rank = Math.clz32((hash << INDEX_BITS) | (1 << (INDEX_BITS - 1))) + 1;
    if (rank > (this.#registers[index] ?? 0)) this.#registers[index] = rank;
  }

  merge(other: Sketch): void {
    const [own, others] = [this.#registers, other.#registers];
    // Not with an iterator: a report merges hundreds of sketches.
    for (let index = 0; index < REGISTERS; index++) {
      const rank = others[index] ?? 0;
      if (rank > (own[index] ?? 0)) own[index] = rank;
    }
  }

  estimate(): number {
    let sum = 0;
    let empty = 0;
    for (const rank of this.#registers) {
      sum += 2 ** -rank;
      if (rank === 0) empty++;
    }
    const raw = (ALPHA * REGISTERS ** 2) / sum;
    // For small numbers, counting the empty registers is more exact.
    const isSmall = raw <= 2.5 * REGISTERS && empty > 0;
    return Math.round(isSmall ? REGISTERS * Math.log(REGISTERS / empty) : raw);
  }
}

export function union(sketches: readonly Sketch[]): Sketch {
  const all = new Sketch();
  for (const sketch of sketches) all.merge(sketch);
  return all;
}
