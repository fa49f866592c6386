/** Tests the keyed hash against the reference vectors of HalfSipHash-2-4. */
import { describe, expect, test } from 'vitest';
import { createKeyedHash } from '../../../src/rollout/keyed-hash.ts';

/** `vectors_hsip32` of the reference implementation: of the bytes 0, 1, 2 … under the key 0 to 7. */
const VECTORS = [
  'a9359f5b',
  '27475ab8',
  'fa62a603',
  '8afee704',
  '2a6e4689',
  'c5fab669',
  '5863fc23',
  '8bcf63c5',
  'd0b8848f',
  'f806e779',
  '94b07934',
  '08083050',
  '57f0872f',
  '77e663ff',
  'd6fff87c',
];

const KEY = Uint8Array.from([0, 1, 2, 3, 4, 5, 6, 7]);

function bytes(length: number): string {
  return String.fromCharCode(...Array.from({ length }, (_, index) => index));
}

describe('the keyed hash', () => {
  test('is HalfSipHash-2-4', () => {
    const hash = createKeyedHash(KEY);
    const hashes = VECTORS.map((_, length) => {
      const output = Buffer.alloc(4);
      output.writeUInt32LE(hash(bytes(length)));
      return output.toString('hex');
    });
    expect(hashes).toEqual(VECTORS);
  });

  test('depends on each of the first 64 characters, and on no other', () => {
    const hash = createKeyedHash(KEY);
    const text = bytes(64);
    const changed = Array.from({ length: 64 }, (_, index) =>
      hash(`${text.slice(0, index)}~${text.slice(index + 1)}`),
    );
    expect(new Set([hash(text), ...changed]).size).toBe(65);
    expect(hash(`${text}more`)).toBe(hash(text));
  });

  test('depends on the key', () => {
    const other = createKeyedHash(Uint8Array.from([0, 1, 2, 3, 4, 5, 6, 8]));
    expect(other('a')).not.toBe(createKeyedHash(KEY)('a'));
  });

  test('needs a key of 8 bytes', () => {
    expect(() => createKeyedHash(new Uint8Array(16))).toThrow('the key must have 8 bytes');
  });
});
