/** Checks the `created` and `expires` parameters of a signature (RFC 9421 §2.3) against the clock. */
import type { MessageSignatureOptions } from './options.ts';
import type { SignatureInput } from './signature-input.ts';

export type LifetimeProblem = 'created_in_the_future' | 'too_old' | 'expired';

/** `expires` is judged as sent, whatever lifetime the app chose; maxAgeSeconds caps it. */
export function checkSignatureLifetime(
  input: SignatureInput,
  options: MessageSignatureOptions,
  nowSeconds: number,
): LifetimeProblem | undefined {
  // Not `>=` and `>`: with a clock of NaN, no signature would ever expire.
  if (!(input.created <= nowSeconds + options.clockToleranceSeconds)) return 'created_in_the_future';
  if (nowSeconds < acceptedUntilSeconds(input, options)) return undefined;
  return input.expires !== undefined && input.expires <= input.created + options.maxAgeSeconds
    ? 'expired'
    : 'too_old';
}

/** The first second at which a signature is not accepted any more. */
export function acceptedUntilSeconds(
  { created, expires = Number.POSITIVE_INFINITY }: SignatureInput,
  { maxAgeSeconds, clockToleranceSeconds }: MessageSignatureOptions,
): number {
  return Math.min(expires, created + maxAgeSeconds) + clockToleranceSeconds;
}
