/** Lists the status words that Approov SDKs send when they have no token. Claimed by the client: for diagnosis only. */

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

/** `other` for a word that is not listed. */
export type ReportedSdkStatus = (typeof SDK_STATUSES)[number] | 'other';

/** Never a token, which has dots. */
const WORD = /^[A-Za-z_]+$/;

/** Parses a status word, in any case: `other` for one that is not listed, `undefined` for anything but a word. */
export function parseSdkStatus(value: string): ReportedSdkStatus | undefined {
  if (!WORD.test(value)) return undefined;
  const word = value.toLowerCase();
  return SDK_STATUSES.find((status) => status === word) ?? 'other';
}
