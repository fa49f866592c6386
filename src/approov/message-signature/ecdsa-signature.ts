/** Converts ECDSA P-256 signatures: from DER to r‖s, and to the one form that stands for both valid ones. */

const COORDINATE_BYTES = 32;
export const RAW_SIGNATURE_BYTES = 2 * COORDINATE_BYTES;

/** The order n of the group of P-256 (SEC 2 §2.4.2). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

const SEQUENCE = 0x30;
const INTEGER = 0x02;

/** Reads `SEQUENCE { INTEGER r, INTEGER s }` (RFC 3279 §2.2.3) in DER; `undefined` for anything else. */
export function derToRaw(der: Buffer): Buffer | undefined {
  if (der[0] !== SEQUENCE || der[1] !== der.length - 2) return undefined;
  const r = readInteger(der, 2);
  const s = r && readInteger(der, r.end);
  if (s === undefined || s.end !== der.length) return undefined;
  const raw = Buffer.alloc(RAW_SIGNATURE_BYTES);
  r?.magnitude.copy(raw, COORDINATE_BYTES - r.magnitude.length);
  s.magnitude.copy(raw, RAW_SIGNATURE_BYTES - s.magnitude.length);
  return raw;
}

/** A positive integer in as few bytes as it needs. */
function readInteger(
  der: Buffer,
  start: number,
): { readonly magnitude: Buffer; readonly end: number } | undefined {
  const length = der[start + 1] ?? 0;
  const end = start + 2 + length;
  if (der[start] !== INTEGER || length === 0 || end > der.length) return undefined;
  const bytes = der.subarray(start + 2, end);
  const [first = 0, second = 0] = bytes;
  const isNegative = first >= 0x80;
  const isPadded = first === 0 && length > 1;
  if (isNegative || (isPadded && second < 0x80)) return undefined;
  const magnitude = isPadded ? bytes.subarray(1) : bytes;
  return magnitude.length > COORDINATE_BYTES ? undefined : { magnitude, end };
}

/** Where (r, s) is valid, so is (r, n − s): the one with the smaller s stands for both. */
export function canonicalSignature(raw: Buffer): Buffer {
  const s = BigInt(`0x${raw.toString('hex', COORDINATE_BYTES)}`);
  const other = ORDER - s;
  if (s <= other) return raw;
  const hex = other.toString(16).padStart(2 * COORDINATE_BYTES, '0');
  return Buffer.concat([raw.subarray(0, COORDINATE_BYTES), Buffer.from(hex, 'hex')]);
}
