/** Verifies the tokens and messages of checks with the loaded keys, and caches the tokens that verified. */
import type { CompactToken } from '../approov/compact-token.ts';
import { type DecryptionKey, type DecryptionResult, verifyDecrypted } from '../approov/encrypted-token.ts';
import type { HostRule, Keyset } from '../approov/keyset.ts';
import { InstallKeys } from '../approov/message-signature/install-keys.ts';
import type { AccountKey, MessageSignatureKeys } from '../approov/message-signature/options.ts';
import { verifyMessageSignature } from '../approov/message-signature/verify-message-signature.ts';
import { startAttempts, type TokenResult, verifyToken } from '../approov/token.ts';
import type { CheckVerifier } from './steps.ts';
import { TokenCache } from './token-cache.ts';

/** An account key that verifies message signatures. */
export interface MessageSigningKey extends AccountKey {
  /** The `mskid` of the tokens that use it. */
  readonly mskid: string;
}

export interface VerificationKeys {
  readonly keyset: Keyset;
  readonly decryptionKeys: readonly DecryptionKey[];
  readonly messageSigningKeys: readonly MessageSigningKey[];
  /** 0 turns the cache off. */
  readonly tokenCacheEntries: number;
}

export interface VerificationEvents {
  readonly onCacheLookup?: (outcome: 'hit' | 'miss') => void;
  /** A token named a `kid` that no key declares. */
  readonly onUnknownKid?: () => void;
}

/** The one token of a check that was decrypted, and what came of it. */
export interface Decryption {
  readonly token: CompactToken;
  readonly result: DecryptionResult;
}

export class TokenVerifier {
  readonly keys: VerificationKeys;
  readonly #events: VerificationEvents;
  readonly #cache: TokenCache;
  readonly #hostRules: readonly HostRule[];
  readonly #messageKeys: MessageSignatureKeys;

  /** @param previous its cache of tokens is kept if the keys are the same; its cache of public keys always. */
  constructor(keys: VerificationKeys, events: VerificationEvents = {}, previous?: TokenVerifier) {
    this.keys = keys;
    this.#events = events;
    const isSame = previous !== undefined && hasSameKeys(keys, previous.keys);
    this.#hostRules = keys.keyset.keys
      .map(({ isForHost }) => isForHost)
      .filter((isForHost) => isForHost !== undefined);
    this.#cache = isSame ? previous.#cache : new TokenCache(keys.tokenCacheEntries, this.#hostRules.length);
    if (isSame) this.#cache.resize(keys.tokenCacheEntries);
    const accountKeys = new Map(keys.messageSigningKeys.map((key) => [key.mskid, key]));
    this.#messageKeys = {
      installKeys: previous === undefined ? new InstallKeys() : previous.#messageKeys.installKeys,
      accountKey: (mskid) => accountKeys.get(mskid),
    };
  }

  /** Whether a token has to be decrypted before it can be verified. */
  needsDecryption(token: CompactToken, host: string, nowSeconds: number): boolean {
    return token.isEncrypted && this.#cache.get(this.#cacheKey(token, host), nowSeconds) === undefined;
  }

  /** For one check: the limit on public-key verifications applies to all its tokens and messages together. */
  forCheck(nowSeconds: number, decryption?: Decryption): CheckVerifier {
    const attempts = startAttempts();
    return {
      verifyToken: (token, host) => {
        const result = this.#verify(token, host, nowSeconds, decryption, attempts);
        if (result.kind === 'rejected' && attempts.sawUnknownKid) this.#events.onUnknownKid?.();
        return result;
      },
      verifyMessage: (request, options, { claims }) => {
        const keys = this.#messageKeys;
        return verifyMessageSignature({ request, options, claims, keys, attempts }, nowSeconds);
      },
    };
  }

  /** An encrypted token is cached by its inner token, so that the same token encrypted again is a hit. */
  #verify(
    token: CompactToken,
    host: string,
    nowSeconds: number,
    decryption: Decryption | undefined,
    attempts: ReturnType<typeof startAttempts>,
  ): TokenResult {
    const decrypted = decryption?.token.text === token.text ? decryption?.result : undefined;
    const outerKey = this.#cacheKey(token, host);
    const key = decrypted?.kind === 'signed' ? this.#cacheKey(decrypted.token, host) : outerKey;
    const cached = this.#cache.get(key, nowSeconds);
    this.#events.onCacheLookup?.(cached === undefined ? 'miss' : 'hit');
    if (cached !== undefined) {
      if (key !== outerKey) this.#cache.addEnvelope(outerKey, key);
      return { kind: 'verified', token: cached };
    }
    const { keyset } = this.keys;
    const result =
      decrypted === undefined
        ? verifyToken(token, keyset, host, attempts)
        : verifyDecrypted(token, decrypted, keyset, host, attempts);
    if (result.kind === 'verified') {
      this.#cache.add(key, result.token, nowSeconds);
      if (key !== outerKey) this.#cache.addEnvelope(outerKey, key);
    }
    return result;
  }

  /** Where keys serve some hosts only, a token that is valid for one host need not be for another. */
  #cacheKey({ text }: CompactToken, host: string): string {
    if (this.#hostRules.length === 0) return text;
    // One character per key: the client chooses the host, and its length.
    return text + this.#hostRules.map((isForHost) => (isForHost(host) ? '1' : '0')).join('');
  }
}

/** By identity: a source that has not changed keeps its key objects through a reload. */
function hasSameKeys(one: VerificationKeys, other: VerificationKeys): boolean {
  const isSame = (keys: readonly object[], others: readonly object[]): boolean =>
    keys.length === others.length && keys.every((key, index) => key === others[index]);
  return isSame(one.keyset.keys, other.keyset.keys) && isSame(one.decryptionKeys, other.decryptionKeys);
}
