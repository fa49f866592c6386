/** Lists the request headers that the check of a message signature reads, or that the Approov SDK signs (RFC 9421, RFC 9530). */

/** Besides those that every policy reads. */
export const SIGNATURE_HEADERS = [
  'content-digest',
  'content-length',
  'content-type',
  'signature',
  'signature-base-digest',
  'signature-input',
  'transfer-encoding',
];
