/** Reads the private keys that decrypt tokens. */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { KeyError } from './key-error.ts';

/** RFC 7518 §4.3. */
const MIN_RSA_BITS = 2048;

/** @throws {KeyError} not an unencrypted private key in PEM, or an RSA key under 2048 bits. */
export function parsePrivateKey(text: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch {
    throw new KeyError('no private key in PEM');
  }
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < MIN_RSA_BITS) {
    throw new KeyError(`an RSA key of ${bits} bits; at least ${MIN_RSA_BITS} are needed`);
  }
  return key;
}
