/** Imports the public keys of app installations from the `ipk` claim, and caches them in bounded memory. */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { decodeBase64 } from '../base64.ts';

export interface InstallKey {
  /** SHA-256 of the key's SubjectPublicKeyInfo, in base64url. */
  readonly identity: string;
  readonly keyId: undefined;
  /** ecdsa-p256-sha256 (RFC 9421 §3.3.4). */
  verify(base: string, signature: Buffer): boolean;
}

/** One is 91 bytes, in base64 124 characters. */
const MAX_IPK_LENGTH = 256;

const DEFAULT_MAX_ENTRIES = 1000;

export class InstallKeys {
  readonly #maxEntries: number;
  /** By the claim; the least recently used first. */
  readonly #keys = new Map<string, InstallKey>();

  constructor(maxEntries: number = DEFAULT_MAX_ENTRIES) {
    this.#maxEntries = maxEntries;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** `undefined` if the claim is not a P-256 key in base64 DER. */
  get(ipk: unknown): InstallKey | undefined {
    if (typeof ipk !== 'string' || ipk.length > MAX_IPK_LENGTH) return undefined;
    const known = this.#keys.get(ipk);
    const key = known ?? importKey(ipk);
    if (key === undefined) return undefined;
    if (known !== undefined) this.#keys.delete(ipk);
    this.#keys.set(ipk, key);
    if (this.#keys.size > this.#maxEntries) {
      const oldest = this.#keys.keys().next();
      if (!oldest.done) this.#keys.delete(oldest.value);
    }
    return key;
  }
}

function importKey(ipk: string): InstallKey | undefined {
  const der = decodeBase64(ipk);
  // OpenSSL ignores what follows the key, which would give one key several identities.
  if (der === undefined || der[1] !== der.length - 2) return undefined;
  const key = createOrUndefined(der);
  if (key?.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    return undefined;
  }
  // RFC 9421 signs with r‖s, not with the DER that node:crypto expects.
  const options = { key, dsaEncoding: 'ieee-p1363' } as const;
  return {
    identity: createHash('sha256').update(der).digest('base64url'),
    keyId: undefined,
    verify: (base, signature) => verify('sha256', Buffer.from(base, 'latin1'), options, signature),
  };
}

function createOrUndefined(der: Buffer): KeyObject | undefined {
  try {
    return createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}
