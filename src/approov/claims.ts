/** Checks the registered claims (RFC 7519 §4.1) of a verified token: lifetime, issuer, audience. */
import type { VerifiedToken } from './token.ts';

type LifetimeFailure = 'missing_expiry' | 'token_expired' | 'token_not_yet_valid';

/** The token's `exp` in seconds since the epoch (fractions allowed), or `undefined` if it is not a finite number. */
export function expirySeconds(token: VerifiedToken): number | undefined {
  const exp = token.claims['exp'];
  return typeof exp === 'number' && Number.isFinite(exp) ? exp : undefined;
}

/** RFC 7519 §4.1.4 and §4.1.5, with `exp` required. A token expires at the second of `exp`, not after it. */
export function checkLifetime(
  token: VerifiedToken,
  nowSeconds: number,
  toleranceSeconds: number,
): LifetimeFailure | undefined {
  const exp = expirySeconds(token);
  if (exp === undefined) return 'missing_expiry';
  // Not `>=`: with a clock or tolerance of NaN, the token would never expire.
  if (!(nowSeconds < exp + toleranceSeconds)) return 'token_expired';
  if (!Object.hasOwn(token.claims, 'nbf')) return undefined;
  const nbf = token.claims['nbf'];
  const isValidYet = typeof nbf === 'number' && Number.isFinite(nbf) && nbf <= nowSeconds + toleranceSeconds;
  return isValidYet ? undefined : 'token_not_yet_valid';
}

/** Whether the `iss` claim is one of `allowed`. Approov writes `""` if the account sets none. */
export function hasIssuer(token: VerifiedToken, allowed: readonly string[]): boolean {
  return isOneOf(token.claims['iss'], allowed);
}

/** Whether the `aud` claim, a string or a list (RFC 7519 §4.1.3), names one of `allowed`; `""` matches none. */
export function hasAudience(token: VerifiedToken, allowed: readonly string[]): boolean {
  const audience = token.claims['aud'];
  return Array.isArray(audience)
    ? audience.some((member) => isOneOf(member, allowed))
    : isOneOf(audience, allowed);
}

function isOneOf(value: unknown, allowed: readonly string[]): boolean {
  return typeof value === 'string' && value !== '' && allowed.includes(value);
}
