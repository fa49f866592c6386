/** Computes HMACs (RFC 2104) of texts from one-shot hashes, in less than half of the time that `createHmac` takes. */
import { hash } from 'node:crypto';

const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;

/** B of RFC 2104 §2. */
const BLOCK_BYTES = { sha256: 64, sha384: 128, sha512: 128 } as const;
export const DIGEST_BYTES = { sha256: 32, sha384: 48, sha512: 64 } as const;

export type HmacHash = keyof typeof BLOCK_BYTES;

/** Enough for the tokens of Approov. */
const TEXT_BYTES = 1024;

/** A key with its hash function. */
export class HmacKey {
  readonly #hash: HmacHash;
  readonly #blockBytes: number;
  /** The key XOR ipad, then the text. Not from the pool of `Buffer`, which hands out memory with its old content. */
  #inner: Buffer;
  /** The key XOR opad, then the hash of `#inner`. */
  readonly #outer: Buffer;

  constructor(hashName: HmacHash, key: Buffer) {
    const blockBytes = BLOCK_BYTES[hashName];
    this.#hash = hashName;
    this.#blockBytes = blockBytes;
    this.#inner = Buffer.alloc(blockBytes + TEXT_BYTES);
    this.#outer = Buffer.alloc(blockBytes + DIGEST_BYTES[hashName]);
    const block = Buffer.alloc(blockBytes);
    // A key that is longer than a block is hashed first.
    block.set(key.length > blockBytes ? digest(hashName, key) : key);
    for (const [index, byte] of block.entries()) {
      this.#inner[index] = byte ^ INNER_PAD;
      this.#outer[index] = byte ^ OUTER_PAD;
    }
    block.fill(0);
  }

  /** @param text one byte per character (latin1). */
  sign(text: string): Buffer {
    const end = this.#blockBytes + text.length;
    if (end > this.#inner.length) this.#grow(end);
    this.#inner.write(text, this.#blockBytes, 'latin1');
    this.#outer.write(hash(this.#hash, this.#inner.subarray(0, end), 'binary'), this.#blockBytes, 'latin1');
    return digest(this.#hash, this.#outer);
  }

  #grow(length: number): void {
    const grown = Buffer.alloc(length);
    grown.set(this.#inner.subarray(0, this.#blockBytes));
    this.#inner.fill(0);
    this.#inner = grown;
  }
}

/** By way of a string, as a hash returns a Buffer more slowly. */
function digest(hashName: HmacHash, bytes: Buffer): Buffer {
  return Buffer.from(hash(hashName, bytes, 'binary'), 'latin1');
}
