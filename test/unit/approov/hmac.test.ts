import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { HmacKey } from '../../../src/approov/hmac.ts';

const HASHES = ['sha256', 'sha384', 'sha512'] as const;

/** Every byte value, from another start for each `seed`. */
function bytesOf(length: number, seed = 0): Buffer {
  return Buffer.from(Array.from({ length }, (_, index) => (seed + 167 * index) & 0xff));
}

describe.each(HASHES)('HmacKey with %s', (hash) => {
  it('signs as node:crypto does, with keys of every length around a block', () => {
    for (const length of [0, 1, 32, 63, 64, 65, 127, 128, 129, 300]) {
      const bytes = bytesOf(length);
      const key = new HmacKey(hash, bytes);
      const expected = createHmac(hash, bytes).update('header.payload').digest();
      expect(key.sign('header.payload')).toEqual(expected);
    }
  });

  it('signs texts of any length, longer and shorter ones in turn', () => {
    const bytes = bytesOf(64);
    const key = new HmacKey(hash, bytes);
    for (const length of [0, 5, 1023, 1024, 1025, 9000, 3, 70_000, 400, 0]) {
      const text = bytesOf(length, 9).toString('latin1');
      expect(key.sign(text)).toEqual(createHmac(hash, bytes).update(text, 'latin1').digest());
    }
  });

  it('returns a signature that the next one does not change', () => {
    const key = new HmacKey(hash, Buffer.alloc(32, 7));
    const first = key.sign('one');
    const copy = Buffer.from(first);
    key.sign('two');
    expect(first).toEqual(copy);
  });

  it('does not depend on the key staying as it was', () => {
    const bytes = Buffer.alloc(32, 7);
    const key = new HmacKey(hash, bytes);
    bytes.fill(0);
    expect(key.sign('one')).toEqual(createHmac(hash, Buffer.alloc(32, 7)).update('one').digest());
  });
});
