/** Imports the public keys of app installations from the `ipk` claim, and caches them in bounded memory. */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { decodeBase64 } from '../base64.ts';

interface InstallKey {
  /** SHA-256 of the key's SubjectPublicKeyInfo, in base64url. */
  readonly identity: string;
  readonly keyId: undefined;
  /** ecdsa-p256-sha256 (RFC 9421 §3.3.4). */
  verify(base: string, signature: Buffer): boolean;
}

/** SubjectPublicKeyInfo (RFC 5480 §2) of an uncompressed point of P-256, up to its coordinates. */
const PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex');
const COORDINATE_BYTES = 32;
const SPKI_BYTES = PREFIX.length + 2 * COORDINATE_BYTES;

/** About 5 MB. */
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
    if (typeof ipk !== 'string') return undefined;
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
  // Strictly, as OpenSSL ignores what follows the key, which would give one key several identities.
  if (der?.length !== SPKI_BYTES || !der.subarray(0, PREFIX.length).equals(PREFIX)) return undefined;
  const key = createOrUndefined(der.subarray(PREFIX.length));
  if (key === undefined) return undefined;
  // RFC 9421 signs with r‖s, not with the DER that node:crypto expects.
  const options = { key, dsaEncoding: 'ieee-p1363' } as const;
  return {
    identity: createHash('sha256').update(der).digest('base64url'),
    keyId: undefined,
    verify: (base, signature) => verify('sha256', Buffer.from(base, 'latin1'), options, signature),
  };
}

/** From a JWK, which takes half the time of DER. `undefined` if the point is not on the curve. */
function createOrUndefined(coordinates: Buffer): KeyObject | undefined {
  const x = coordinates.toString('base64url', 0, COORDINATE_BYTES);
  const y = coordinates.toString('base64url', COORDINATE_BYTES);
  try {
    return createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' });
  } catch {
    return undefined;
  }
}
