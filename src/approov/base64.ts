/** Decodes base64 and base64url (RFC 4648 §4 and §5) strictly: no two texts decode to the same bytes. */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const BASE64URL = /^[A-Za-z0-9_-]*$/;
const BASE64 = /^[A-Za-z0-9+/]*$/;

/** Whether a text is unpadded base64url, as JOSE requires (RFC 7515 §2). */
export function isBase64Url(text: string): boolean {
  return BASE64URL.test(text) && isCanonical(text);
}

/** Decodes one of the two alphabets (never a mix), padded or not; `undefined` for anything else. */
export function decodeBase64(text: string): Buffer | undefined {
  const unpadded = text.replace(/={1,2}$/, '');
  if (unpadded.length !== text.length && text.length % 4 !== 0) return undefined;
  const isEither = BASE64URL.test(unpadded) || BASE64.test(unpadded);
  return isEither && isCanonical(unpadded) ? Buffer.from(unpadded, 'base64url') : undefined;
}

function isCanonical(text: string): boolean {
  const tail = text.length % 4;
  if (tail === 0) return true;
  if (tail === 1) return false;
  // RFC 4648 §3.5: the spare bits of the last character must be zero, or two texts would decode to the same bytes.
  const spareBits = tail === 2 ? 0b1111 : 0b11;
  return (sextet(text.charAt(text.length - 1)) & spareBits) === 0;
}

function sextet(character: string): number {
  if (character === '-' || character === '+') return 62;
  if (character === '_' || character === '/') return 63;
  return ALPHABET.indexOf(character);
}
