/** Gives each text a place in [0, 1): always the same one, and evenly spread over texts. */
import { createHash } from 'node:crypto';

const PLACES = 2 ** 32;

/** The first 32 bits of the SHA-256 of the text in UTF-8, as a fraction. */
export function placeOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0) / PLACES;
}
