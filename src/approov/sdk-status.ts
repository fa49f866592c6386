/** Owns the status words by which an Approov SDK says that it has no token; claimed by the client, so for diagnosis only. */

export const SDK_STATUSES = [
  'success',
  'no_network',
  'poor_network',
  'untrusted_network',
  'mitm_detected',
  'no_approov_service',
  'rejected',
  'internal_error',
  'bad_url',
  'unknown_url',
  'unprotected_url',
] as const;

export type SdkStatus = (typeof SDK_STATUSES)[number];

/** The status word that a header value is, in any case; `undefined` if it is none. */
export function parseSdkStatus(value: string): SdkStatus | undefined {
  const word = value.toLowerCase();
  return SDK_STATUSES.find((status) => status === word);
}
