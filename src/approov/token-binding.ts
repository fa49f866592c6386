/** Checks token binding: the `pay` claim is the SHA-256 of the header values that the app bound its token to. */
import { hash, timingSafeEqual } from 'node:crypto';
import { decodeBase64 } from './base64.ts';
import { trimOws } from './field-value.ts';
import type { VerifiedToken } from './token.ts';

export type BindingFailure = 'missing_pay_claim' | 'missing_binding_header' | 'binding_mismatch';

/**
 * Compares the token's `pay` claim with the bound headers.
 * @param boundValues per bound header, in configured order, each value in the request: raw bytes.
 * @param when `if-present` accepts a token without `pay`, as Approov's failover tokens have none, and a token bound to
 *   an empty header, as okhttp 3.5.8 and later do.
 */
export function checkBinding(
  token: VerifiedToken,
  boundValues: readonly (readonly Buffer[])[],
  when: 'if-present' | 'required',
): BindingFailure | undefined {
  if (!Object.hasOwn(token.claims, 'pay')) return when === 'required' ? 'missing_pay_claim' : undefined;
  const pay = token.claims['pay'];
  if (typeof pay !== 'string' || pay === '') return 'binding_mismatch';

  const bound: Buffer[] = [];
  let hasBlank = false;
  for (const values of boundValues) {
    const value = values.length === 1 && values[0] ? trimOws(values[0]) : undefined;
    if (value === undefined) return 'missing_binding_header';
    if (value.length === 0) hasBlank = true;
    bound.push(value);
  }
  if (hasBlank && when === 'required') return 'missing_binding_header';
  const actual = sha256(bound);
  const expected = decodeBase64(pay);
  const matches = expected?.length === actual.length && timingSafeEqual(expected, actual);
  if (matches) return undefined;
  return hasBlank ? 'missing_binding_header' : 'binding_mismatch';
}

/** The `pay` claim of a token bound to these header values: standard base64 with padding, as Approov writes it. */
export function payClaim(values: readonly (string | Buffer)[]): string {
  const bytes = values.map((value) => trimOws(typeof value === 'string' ? Buffer.from(value) : value));
  return sha256(bytes).toString('base64');
}

/** Of the values without a separator, as Approov does: bytes could move from one header to the next undetected. */
function sha256(values: readonly Buffer[]): Buffer {
  const [first] = values;
  const bytes = values.length === 1 && first !== undefined ? first : Buffer.concat(values);
  // As text and back, this takes half as long as a digest that is made a Buffer outside of JavaScript.
  return Buffer.from(hash('sha256', bytes, 'hex'), 'hex');
}
