/** Percent-encoding of `grpc-message` (gRPC over HTTP/2: "Status-Message"). */
import { MAX_STATUS_TEXT } from '../limits.ts';

const NOT_PLAIN = /[^\x20-\x24\x26-\x7e]/;

export function percentEncode(text: string): string {
  const cut = text.length > MAX_STATUS_TEXT ? text.slice(0, MAX_STATUS_TEXT) : text;
  if (!NOT_PLAIN.test(cut)) return cut;
  let encoded = '';
  for (const octet of Buffer.from(cut, 'utf8')) {
    const isPlain = octet >= 0x20 && octet <= 0x7e && octet !== 0x25;
    encoded += isPlain ? String.fromCharCode(octet) : `%${octet.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
