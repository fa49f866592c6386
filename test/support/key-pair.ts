/** Owns key pairs of a keyset for tests: the public half as a JWK or PEM, the private half to sign tokens with by jose. */
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
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

/** For ES256. */
export function createKeyPair(kid: string): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
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

/** A JWK Set (RFC 7517 §5) of these keys. */
export function jwkSet(...pairs: readonly KeyPair[]): string {
  return JSON.stringify({ keys: pairs.map(({ jwk }) => jwk) });
}
