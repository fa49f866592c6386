/** Tests the conversion of ECDSA signatures against those that node:crypto makes. */
import { sign } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalSignature, derToRaw } from '../../../../src/approov/message-signature/ecdsa-signature.ts';
import { INSTALL_KEY } from '../../../support/message-signature.ts';

/** DER of two unsigned integers. */
function encodeDer(r: Buffer, s: Buffer): Buffer {
  const integers = [r, s].map((value) => {
    const significant = value.subarray(value.findIndex((byte) => byte !== 0));
    const bytes = (significant[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), significant]) : significant;
    return Buffer.concat([Buffer.from([2, bytes.length]), bytes]);
  });
  const content = Buffer.concat(integers);
  return Buffer.concat([Buffer.from([0x30, content.length]), content]);
}

describe('a signature in DER', () => {
  it('is padded on the left, and has its sign byte dropped', () => {
    const number = fc.uint8Array({ minLength: 1, maxLength: 32 }).map((bytes) => {
      const value = Buffer.concat([Buffer.alloc(32 - bytes.length), bytes]);
      value[31] = (value[31] ?? 0) | 1;
      return value;
    });
    fc.assert(
      fc.property(number, number, (r, s) => {
        expect(derToRaw(encodeDer(r, s))).toEqual(Buffer.concat([r, s]));
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['empty', ''],
    ['cut', '3006020101'],
    ['not a sequence', '3106020101020101'],
    ['of the wrong length', '3007020101020101'],
    ['of a long length', '308106020101020101'],
    ['followed by more', '302602010102010100'],
    ['with more inside', '3007020101020101ff'],
    ['of one integer', '3003020101'],
    ['of three integers', '3009020101020101020101'],
    ['with an empty integer', '30050200020101'],
    ['with a negative integer', '3006020180020101'],
    ['with a padded integer', '300702020001020101'],
    ['with another type', '3006030101020101'],
    ['with an integer that ends outside', '3006020101027f01'],
    ['with an integer of 33 bytes', `3026022101${'00'.repeat(32)}020101`],
  ])('is refused if it is %s', (_, hex) => {
    expect(derToRaw(Buffer.from(hex, 'hex'))).toBeUndefined();
  });

  it('is read as node:crypto writes it', () => {
    for (let run = 0; run < 200; run++) {
      const raw = derToRaw(sign('sha256', Buffer.from(`message ${run}`), INSTALL_KEY.privateKey));
      expect(raw).toHaveLength(64);
    }
  });
});

describe('the canonical form of a signature', () => {
  const half = '7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8';
  const r = '11'.repeat(32);

  it.each([
    [half, half],
    // (n + 1) / 2, whose mirror image is (n - 1) / 2.
    ['7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a9', half],
    [`${'00'.repeat(31)}01`, `${'00'.repeat(31)}01`],
    ['ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550', `${'00'.repeat(31)}01`],
  ])('has for the s of %s the s of %s', (s, expected) => {
    expect(canonicalSignature(Buffer.from(r + s, 'hex')).toString('hex')).toBe(r + expected);
  });
});
