/** Decodes base64 and base64url (RFC 4648 §4 and §5) strictly: no two texts decode to the same bytes. */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const BASE64URL = /^[A-Za-z0-9_-]*$/;
const BASE64 = /^[A-Za-z0-9+/]*$/;

/** Decodes unpadded base64url, as JOSE requires (RFC 7515 §2); `undefined` for anything else. */
export function decodeBase64Url(text: string): Buffer | undefined {
  return BASE64URL.test(text) ? decodeCanonical(text) : undefined;
}

/** Decodes one of the two alphabets (never a mix), padded or not; `undefined` for anything else. */
export function decodeBase64(text: string): Buffer | undefined {
  const unpadded = text.replace(/={1,2}$/, '');
  if (unpadded.length !== text.length && text.length % 4 !== 0) return undefined;
  return BASE64URL.test(unpadded) || BASE64.test(unpadded) ? decodeCanonical(unpadded) : undefined;
}

function decodeCanonical(text: string): Buffer | undefined {
  const tail = text.length % 4;
  if (tail === 1) return undefined;
  if (tail !== 0) {
    // RFC 4648 §3.5: the spare bits of the last character must be zero, or two texts would decode to the same bytes.
    const spareBits = tail === 2 ? 0b1111 : 0b11;
    if ((sextet(text.charAt(text.length - 1)) & spareBits) !== 0) return undefined;
  }
  return Buffer.from(text, 'base64url');
}

function sextet(character: string): number {
  if (character === '-' || character === '+') return 62;
  if (character === '_' || character === '/') return 63;
  return ALPHABET.indexOf(character);
}
