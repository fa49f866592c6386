/** Hashes short texts with a secret key (HalfSipHash-2-4), so that clients cannot choose their hashes. */

export type KeyedHash = (text: string) => number;

const KEY_BYTES = 8;
/** Longer texts are cut: an id has fewer characters, and a client chooses the length. */
const MAX_CHARACTERS = 64;

/** @returns a hash of 32 bits, unsigned. Of each character, the lowest 8 bits count. */
export function createKeyedHash(key: Uint8Array): KeyedHash {
  if (key.length !== KEY_BYTES) throw new Error(`the key must have ${KEY_BYTES} bytes`);
  const view = new DataView(key.buffer, key.byteOffset, KEY_BYTES);
  const k0 = view.getInt32(0, true);
  const k1 = view.getInt32(4, true);

  return (text) => {
    const length = Math.min(text.length, MAX_CHARACTERS);
    let v0 = k0;
    let v1 = k1;
    let v2 = 0x6c796765 ^ k0;
    let v3 = 0x74656462 ^ k1;
    const words = (length >>> 2) + 1;
    // The last word has the length in its highest byte. Two more passes without a word, after it, make four final rounds.
    for (let word = 0; word < words + 2; word++) {
      let m = 0;
      if (word < words) {
        m = word === words - 1 ? length << 24 : 0;
        const end = Math.min(length, 4 * word + 4);
        for (let index = 4 * word; index < end; index++)
          m |= (text.charCodeAt(index) & 0xff) << (8 * (index & 3));
        v3 ^= m;
      } else if (word === words) {
        v2 ^= 0xff;
      }
      for (let round = 0; round < 2; round++) {
        v0 = (v0 + v1) | 0;
        v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
        v0 = (v0 << 16) | (v0 >>> 16);
        v2 = (v2 + v3) | 0;
        v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
        v0 = (v0 + v3) | 0;
        v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
        v2 = (v2 + v1) | 0;
        v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
        v2 = (v2 << 16) | (v2 >>> 16);
      }
      v0 ^= m;
    }
    return (v1 ^ v3) >>> 0;
  };
}
