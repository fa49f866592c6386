/** Owns the status words by which an Approov SDK says that it has no token; claimed by the client, so for diagnosis only. */

export const SDK_STATUSES = [
  'success',
  'no_network',
  'poor_network',
  'no_network_permission',
  'untrusted_network',
  'mitm_detected',
  'no_approov_service',
  'rejected',
  'internal_error',
  'bad_url',
  'unknown_url',
  'unprotected_url',
  'missing_lib_dependency',
  'disabled',
  'not_initialized',
  'unknown_key',
  'bad_key',
  'bad_payload',
] as const;

export type SdkStatus = (typeof SDK_STATUSES)[number];

/** No token consists of these alone, as it has dots. */
const WORD = /^[A-Za-z_]+$/;

/** The status word that a header value is, in any case; `other` for one of a newer SDK; `undefined` if it is no word. */
export function parseSdkStatus(value: string): SdkStatus | 'other' | undefined {
  if (!WORD.test(value)) return undefined;
  const word = value.toLowerCase();
  return SDK_STATUSES.find((status) => status === word) ?? 'other';
}
