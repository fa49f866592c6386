/** Tests the import of install keys, and that the memory for them is bounded. */
import { describe, expect, it } from 'vitest';
import { InstallKeys } from '../../../../src/approov/message-signature/install-keys.ts';
import { generateKeyPair } from '../../../support/key-pair.ts';
import { CLAIMS, ipkOf } from '../../../support/message-signature.ts';

const newIpk = (): string => ipkOf(generateKeyPair('ec', { namedCurve: 'P-256' }).publicKey);

describe('the cache of install keys', () => {
  it('imports a key once', () => {
    const keys = new InstallKeys();
    expect(keys.get(CLAIMS.ipk)).toBe(keys.get(CLAIMS.ipk));
    expect(keys.size).toBe(1);
  });

  it('drops the key that was not used for longest', () => {
    const keys = new InstallKeys(2);
    const [first, second, third] = [newIpk(), newIpk(), newIpk()];
    const firstKey = keys.get(first);
    const secondKey = keys.get(second);
    keys.get(first);
    keys.get(third);
    expect(keys.size).toBe(2);
    expect(keys.get(first)).toBe(firstKey);
    expect(keys.get(second)).not.toBe(secondKey);
  });

  it('keeps nothing of a claim that is not a key', () => {
    const keys = new InstallKeys();
    expect(['', 'x', 1, null, undefined, {}].map((ipk) => keys.get(ipk))).toEqual(Array(6).fill(undefined));
    expect(keys.size).toBe(0);
  });

  it('knows a key by the same identity, however its base64 is written', () => {
    const keys = new InstallKeys();
    const base64url = Buffer.from(CLAIMS.ipk, 'base64').toString('base64url');
    expect(keys.get(base64url)?.identity).toBe(keys.get(CLAIMS.ipk)?.identity);
    expect(keys.get(CLAIMS.ipk)?.identity).toMatch(/^[\w-]{43}$/);
    expect(keys.get(newIpk())?.identity).not.toBe(keys.get(CLAIMS.ipk)?.identity);
  });
});
