/** Limits how many tokens are decrypted at a time. */
import type { CompactToken } from '../approov/compact-token.ts';
import { type DecryptionKey, type DecryptionResult, decryptToken } from '../approov/encrypted-token.ts';

/**
 * Most decryptions at a time. Two cores decrypt some 2,000 tokens a second with an RSA key, so the last of these waits
 * about 130 ms; later ones would be answered after Envoy has timed out (200 ms by default). Honest traffic stays far
 * below: a token is decrypted once and cached until it expires.
 */
export const MAX_DECRYPTIONS = 256;

interface DecryptionLimiter {
  /** Does not queue: beyond the limit, the result is `overloaded`. */
  decrypt(token: CompactToken, keys: readonly DecryptionKey[]): Promise<DecryptionResult>;
}

/** @param onOverload called when the limit is reached, and again only after half of the decryptions have ended. */
export function createDecryptionLimiter(
  onOverload: () => void,
  decrypt: typeof decryptToken = decryptToken,
): DecryptionLimiter {
  let running = 0;
  let isOverloaded = false;
  let currentKeys: readonly DecryptionKey[] | undefined;
  let byToken = new Map<string, Promise<DecryptionResult>>();

  return {
    decrypt(token, keys) {
      if (keys !== currentKeys) {
        currentKeys = keys;
        byToken = new Map();
      }
      // Many concurrent checks of one token, as after a reload, cost one decryption.
      const pending = byToken.get(token.text);
      if (pending !== undefined) return pending;
      if (running >= MAX_DECRYPTIONS) {
        if (!isOverloaded) onOverload();
        isOverloaded = true;
        return Promise.resolve({ kind: 'overloaded' });
      }
      running++;
      const tokens = byToken;
      const decryption = decrypt(token, keys).finally(() => {
        running--;
        if (running <= MAX_DECRYPTIONS / 2) isOverloaded = false;
        tokens.delete(token.text);
      });
      tokens.set(token.text, decryption);
      return decryption;
    },
  };
}
