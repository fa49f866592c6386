/** Recognizes a header block that is the same as the last one. */

/** Of most clients: a byte for each field, once the dynamic table holds them, and a few short literals. */
const MAX_BYTES = 128;

export class LastBlock {
  readonly #bytes = Buffer.alloc(MAX_BYTES);
  #length = 0;

  /** Always false for an empty or a long block. */
  equals(block: Buffer): boolean {
    const length = this.#length;
    if (length === 0 || block.length !== length) return false;
    const bytes = this.#bytes;
    for (let index = 0; index < length; index++) if (bytes[index] !== block[index]) return false;
    return true;
  }

  remember(block: Buffer): void {
    if (block.length > MAX_BYTES) return;
    this.#bytes.set(block);
    this.#length = block.length;
  }

  forget(): void {
    this.#length = 0;
  }
}
