/** Decrypts encrypted tokens, a limited number at a time. */
import { type DecryptedToken, type DecryptionKey, decryptToken } from '../approov/encrypted-token.ts';

/**
 * Most decryptions at a time. Two cores decrypt some 2,000 tokens a second with an RSA key, so that the last of these
 * waits for about 130 ms, and later ones would be answered after Envoy has given up (its default is 200 ms). Honest
 * traffic stays far below it: a token is decrypted once and cached until it expires.
 */
export const MAX_DECRYPTIONS = 256;

export interface DecryptionLimiter {
  /** Never waits for others: beyond the limit, the token is `overloaded`. */
  open(token: string, keys: readonly DecryptionKey[]): Promise<DecryptedToken>;
}

/** @param onOverload called when the limit is reached, and again only after half of the decryptions have ended. */
export function createDecryptionLimiter(
  onOverload: () => void,
  decrypt: typeof decryptToken = decryptToken,
): DecryptionLimiter {
  let running = 0;
  let isOverloaded = false;
  let keysInUse: readonly DecryptionKey[] | undefined;
  let byToken = new Map<string, Promise<DecryptedToken>>();

  return {
    open(token, keys) {
      if (keys !== keysInUse) {
        keysInUse = keys;
        byToken = new Map();
      }
      // Many checks of one token at once, as after a reload, cost one decryption.
      const same = byToken.get(token);
      if (same !== undefined) return same;
      if (running >= MAX_DECRYPTIONS) {
        if (!isOverloaded) onOverload();
        isOverloaded = true;
        return Promise.resolve({ kind: 'overloaded' });
      }
      running++;
      const tokens = byToken;
      const opening = decrypt(token, keys).finally(() => {
        running--;
        if (running <= MAX_DECRYPTIONS / 2) isOverloaded = false;
        tokens.delete(token);
      });
      tokens.set(token, opening);
      return opening;
    },
  };
}
