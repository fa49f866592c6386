/** Tests that encrypted tokens are decrypted a limited number at a time, and the same one once. */
import { createSecretKey, randomBytes } from 'node:crypto';
import { CompactEncrypt } from 'jose';
import { describe, expect, it } from 'vitest';
import {
  type DecryptedToken,
  type DecryptionKey,
  decryptToken,
} from '../../../src/approov/encrypted-token.ts';
import { createDecryptionLimiter, MAX_DECRYPTIONS } from '../../../src/authz/decryption-limiter.ts';
import { mintToken } from '../../support/token.ts';

const KEY = createSecretKey(randomBytes(32));
const KEYS: readonly DecryptionKey[] = [
  {
    id: 'opener',
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
  const opener = createDecryptionLimiter(
    () => overloads.push('told'),
    async (token, keys) => {
      await new Promise<void>((resolve) => releases.push(resolve));
      return decryptToken(token, keys);
    },
  );
  const release = (count = releases.length): void => {
    for (const resolve of releases.splice(0, count)) resolve();
  };
  return { open: (token: string, keys = KEYS) => opener.open(token, keys), releases, release, overloads };
}

const SIGNED: DecryptedToken = { kind: 'signed', token: INNER };

describe('a token', () => {
  it('that many checks bear at once is decrypted once, and again when it comes later', async () => {
    const { open, releases, release } = start();
    const token = await encrypt();
    const all = [open(token), open(token), open(token)];
    expect(releases).toHaveLength(1);
    release();
    expect(await Promise.all(all)).toEqual([SIGNED, SIGNED, SIGNED]);
    const again = open(token);
    expect(releases).toHaveLength(1);
    release();
    expect(await again).toEqual(SIGNED);
  });

  it('is decrypted again with other keys, though the first decryption has not ended', async () => {
    const { open, release } = start();
    const token = await encrypt();
    const all = [open(token), open(token, []), open(token)];
    release();
    expect(await Promise.all(all)).toEqual([SIGNED, { kind: 'not-decrypted' }, SIGNED]);
  });

  it('whose decryption ends in a bug fails for everybody who waits, and takes no place for ever', async () => {
    const opener = createDecryptionLimiter(
      () => undefined,
      () => Promise.reject(new Error('a bug')),
    );
    for (let index = 0; index < MAX_DECRYPTIONS + 1; index++) {
      const all = await Promise.allSettled([opener.open('a', KEYS), opener.open('a', KEYS)]);
      expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    }
  });
});

describe('the limit', () => {
  it('refuses what is beyond it at once, is told once, and admits again what there is room for', async () => {
    const { open, releases, release, overloads } = start();
    const first = Array.from({ length: MAX_DECRYPTIONS }, (_, index) => open(`token-${index}`));
    expect(overloads).toEqual([]);
    expect(await open('beyond')).toEqual({ kind: 'overloaded' });
    expect(await open('beyond, too')).toEqual({ kind: 'overloaded' });
    expect(overloads).toEqual(['told']);

    release(1);
    await first[0];
    const token = await encrypt();
    const admitted = open(token);
    expect(await open('beyond')).toEqual({ kind: 'overloaded' });
    expect([releases.length, overloads]).toEqual([MAX_DECRYPTIONS, ['told']]);

    release();
    await Promise.all(first);
    expect(await admitted).toEqual(SIGNED);
    for (let index = 0; index < MAX_DECRYPTIONS; index++) void open(`later-${index}`);
    expect(await open('beyond')).toEqual({ kind: 'overloaded' });
    expect(overloads).toEqual(['told', 'told']);
    release();
  });

  it('does not refuse a token that is being decrypted already', async () => {
    const { open, release } = start();
    const token = await encrypt();
    const first = open(token);
    for (let index = 1; index < MAX_DECRYPTIONS; index++) void open(`token-${index}`);
    const second = open(token);
    release();
    expect(await Promise.all([first, second])).toEqual([SIGNED, SIGNED]);
  });
});
