/** Signs tokens with node:crypto alone, so that no code under test verifies its own output. */
import { createHash, createHmac, randomBytes } from 'node:crypto';

export const SECRET_BYTES = Buffer.alloc(64, 'test secret of 64 bytes ');
/** As `approov secret -get base64` would print it. */
export const SECRET = SECRET_BYTES.toString('base64');
export const OTHER_SECRET_BYTES = Buffer.alloc(64, 'another secret ');
export const OTHER_SECRET = OTHER_SECRET_BYTES.toString('base64');

/** By which the service names a secret. */
export function fingerprint(secret: Buffer): string {
  return createHash('sha256').update(secret).digest('hex').slice(0, 12);
}

interface MintOptions {
  readonly header?: Readonly<Record<string, unknown>>;
  readonly secret?: Buffer;
}

/** An HS256, HS384 or HS512 token, as `alg` in its header says. */
export function mintToken(claims: unknown, { header = {}, secret = SECRET_BYTES }: MintOptions = {}): string {
  const fullHeader: Readonly<Record<string, unknown>> = { alg: 'HS256', typ: 'JWT', ...header };
  const signingInput = [fullHeader, claims].map((part) => base64url(JSON.stringify(part))).join('.');
  const hash =
    new Map([
      ['HS384', 'sha384'],
      ['HS512', 'sha512'],
    ]).get(fullHeader['alg'] as string) ?? 'sha256';
  return `${signingInput}.${createHmac(hash, secret).update(signingInput).digest('base64url')}`;
}

/** A valid token that no other test has seen. */
export function freshToken(claims: Readonly<Record<string, unknown>> = {}, options?: MintOptions): string {
  const exp = Math.floor(Date.now() / 1000) + 300;
  return mintToken({ exp, jti: randomBytes(6).toString('hex'), ...claims }, options);
}

export function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}
