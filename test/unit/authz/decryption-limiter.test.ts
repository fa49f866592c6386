import { createSecretKey, randomBytes } from 'node:crypto';
import { CompactEncrypt } from 'jose';
import { describe, expect, it } from 'vitest';
import { CompactToken } from '../../../src/approov/compact-token.ts';
import {
  type DecryptionKey,
  type DecryptionResult,
  decryptToken,
} from '../../../src/approov/encrypted-token.ts';
import { createDecryptionLimiter, MAX_DECRYPTIONS } from '../../../src/authz/decryption-limiter.ts';
import { mintToken } from '../../support/token.ts';

const KEY = createSecretKey(randomBytes(32));
const KEYS: readonly DecryptionKey[] = [
  {
    id: 'decryptor',
    kid: undefined,
    key: KEY,
    fingerprint: '0123456789ab',
    keyManagementAlgorithms: ['dir'],
    contentEncryptionAlgorithms: ['A256GCM'],
    isNested: true,
  },
];
const INNER = mintToken({ exp: 4_000_000_000 });

function encrypt(): Promise<string> {
  return new CompactEncrypt(Buffer.from(INNER))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .encrypt(KEY);
}

/** Decrypts for real, but only once it is released. */
function start() {
  const releases: (() => void)[] = [];
  const overloads: string[] = [];
  const limiter = createDecryptionLimiter(
    () => overloads.push('overload'),
    async (token, keys) => {
      await new Promise<void>((resolve) => releases.push(resolve));
      return decryptToken(token, keys);
    },
  );
  const release = (count = releases.length): void => {
    for (const resolve of releases.splice(0, count)) resolve();
  };
  const decrypt = (text: string, keys = KEYS) => limiter.decrypt(new CompactToken(text), keys);
  return { decrypt, releases, release, overloads };
}

const SIGNED: DecryptionResult = { kind: 'signed', token: new CompactToken(INNER) };

describe('an encrypted token', () => {
  it('in many concurrent checks is decrypted once, and again when it is sent later', async () => {
    const { decrypt, releases, release } = start();
    const token = await encrypt();
    const all = [decrypt(token), decrypt(token), decrypt(token)];
    expect(releases).toHaveLength(1);
    release();
    expect(await Promise.all(all)).toEqual([SIGNED, SIGNED, SIGNED]);
    const again = decrypt(token);
    expect(releases).toHaveLength(1);
    release();
    expect(await again).toEqual(SIGNED);
  });

  it('is decrypted again with other keys, though the first decryption is still running', async () => {
    const { decrypt, release } = start();
    const token = await encrypt();
    const all = [decrypt(token), decrypt(token, []), decrypt(token)];
    release();
    expect(await Promise.all(all)).toEqual([SIGNED, { kind: 'not-decrypted' }, SIGNED]);
  });

  it('whose decryption throws fails for every waiting check, and frees its slot', async () => {
    const limiter = createDecryptionLimiter(
      () => undefined,
      () => Promise.reject(new Error('a bug')),
    );
    const token = new CompactToken('a');
    for (let index = 0; index < MAX_DECRYPTIONS + 1; index++) {
      const all = await Promise.allSettled([limiter.decrypt(token, KEYS), limiter.decrypt(token, KEYS)]);
      expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    }
  });
});

describe('the limit on concurrent decryptions', () => {
  it('rejects further tokens at once, is reported once, and admits tokens again as others finish', async () => {
    const { decrypt, releases, release, overloads } = start();
    const first = Array.from({ length: MAX_DECRYPTIONS }, (_, index) => decrypt(`token-${index}`));
    expect(overloads).toEqual([]);
    expect(await decrypt('beyond')).toEqual({ kind: 'overloaded' });
    expect(await decrypt('beyond, too')).toEqual({ kind: 'overloaded' });
    expect(overloads).toEqual(['overload']);

    release(1);
    await first[0];
    const token = await encrypt();
    const admitted = decrypt(token);
    expect(await decrypt('beyond')).toEqual({ kind: 'overloaded' });
    expect([releases.length, overloads]).toEqual([MAX_DECRYPTIONS, ['overload']]);

    release();
    await Promise.all(first);
    expect(await admitted).toEqual(SIGNED);
    for (let index = 0; index < MAX_DECRYPTIONS; index++) void decrypt(`later-${index}`);
    expect(await decrypt('beyond')).toEqual({ kind: 'overloaded' });
    expect(overloads).toEqual(['overload', 'overload']);
    release();
  });

  it('does not reject a token whose decryption is already running', async () => {
    const { decrypt, release } = start();
    const token = await encrypt();
    const first = decrypt(token);
    for (let index = 1; index < MAX_DECRYPTIONS; index++) void decrypt(`token-${index}`);
    const second = decrypt(token);
    release();
    expect(await Promise.all([first, second])).toEqual([SIGNED, SIGNED]);
  });
});
