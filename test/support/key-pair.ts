/** Key pairs for keysets: the public key as JWK or PEM, and the private key, with which jose signs tokens. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { type JWK, SignJWT } from 'jose';

export interface KeyPair {
  readonly kid: string;
  readonly jwk: JWK;
  readonly pem: string;
  readonly privateKey: KeyObject;
  /** A valid token that no other test has seen. */
  sign(
    claims?: Readonly<Record<string, unknown>>,
    header?: Readonly<Record<string, unknown>>,
  ): Promise<string>;
}

/** Arguments as for node:crypto: `generateKeyPair('ec', { namedCurve: 'P-256' })`. */
export function generateKeyPair(
  type: 'rsa' | 'ec' | 'ed25519' | 'x25519',
  options: { readonly modulusLength?: number; readonly namedCurve?: string } = {},
): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  const pem = generatePem(type, {
    ...options,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  // Not as KeyObjects: on Node 20 they sometimes deadlock, when the garbage collector frees the job that generated a key
  // and waits for its mutex while the key is being exported as a JWK.
  return { publicKey: createPublicKey(pem.publicKey), privateKey: createPrivateKey(pem.privateKey) };
}

/** Without an overload per key type. */
const generatePem = generateKeyPairSync as (
  type: string,
  options: object,
) => { readonly publicKey: string; readonly privateKey: string };

/** A key pair for ES256. */
export function createKeyPair(kid: string): KeyPair {
  const { publicKey, privateKey } = generateKeyPair('ec', { namedCurve: 'P-256' });
  return {
    kid,
    jwk: { ...(publicKey.export({ format: 'jwk' }) as JWK), kid },
    pem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    privateKey,
    sign: (claims = {}, header = {}) =>
      new SignJWT({ jti: randomBytes(6).toString('hex'), ...claims })
        .setProtectedHeader({ alg: 'ES256', kid, ...header })
        .setExpirationTime('1h')
        .sign(privateKey),
  };
}

/** The JWK Set (RFC 7517 §5) of these keys. */
export function jwkSet(...pairs: readonly KeyPair[]): string {
  return JSON.stringify({ keys: pairs.map(({ jwk }) => jwk) });
}
