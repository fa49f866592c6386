import type { KeyObject } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { KeyError } from '../../../src/approov/key-error.ts';
import { parsePrivateKey } from '../../../src/approov/private-key.ts';
import { generateKeyPair } from '../../support/key-pair.ts';

const RSA = generateKeyPair('rsa', { modulusLength: 2048 });
const P256 = generateKeyPair('ec', { namedCurve: 'P-256' });
const X25519 = generateKeyPair('x25519');

describe('parsePrivateKey', () => {
  const pem = (key: KeyObject, options = {}): string =>
    key.export({ type: 'pkcs8', format: 'pem', ...options }).toString();

  it.each([
    ['RSA', RSA],
    ['P-256', P256],
    ['X25519', X25519],
  ] as const)('reads a private key of %s', (_what, { privateKey }) => {
    expect(parsePrivateKey(pem(privateKey)).equals(privateKey)).toBe(true);
  });

  it.each([
    ['no PEM', 'x', 'no private key in PEM'],
    [
      'a public key',
      RSA.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      'no private key in PEM',
    ],
    [
      'a key under a pass phrase',
      pem(RSA.privateKey, { cipher: 'aes-256-cbc', passphrase: 'x' }),
      'no private key in PEM',
    ],
    [
      'an RSA key of 1024 bits',
      pem(generateKeyPair('rsa', { modulusLength: 1024 }).privateKey),
      'an RSA key of 1024 bits; at least 2048 are needed',
    ],
  ])('refuses %s', (_what, text, expected) => {
    expect(() => parsePrivateKey(text)).toThrow(new KeyError(expected));
  });
});
