/** Caches verified tokens until they expire, so that a signature is verified once. */
import { expirySeconds } from '../approov/claims.ts';
import type { VerifiedToken } from '../approov/token.ts';

/** By the whole token. Rejected tokens are never cached, so only tokens that a key signed can fill it. */
export class TokenCache {
  #maxEntries: number;
  readonly #entries = new Map<string, VerifiedToken>();
  /** Encrypted token to entry, and entry to its one encrypted token. */
  readonly #envelopes = new Map<string, string>();
  readonly #envelopeOf = new Map<string, string>();

  /** @param maxEntries 0 turns the cache off. */
  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  /** Drops the oldest entries beyond a smaller limit. */
  resize(maxEntries: number): void {
    this.#maxEntries = maxEntries;
    for (const entry of this.#entries.keys()) {
      if (this.#entries.size <= maxEntries) return;
      this.#delete(entry);
    }
  }

  /** `undefined` if not cached, or expired. */
  get(token: string, nowSeconds: number): VerifiedToken | undefined {
    const entry = this.#entries.has(token) ? token : this.#envelopes.get(token);
    if (entry === undefined) return undefined;
    const verified = this.#entries.get(entry);
    if (verified === undefined || isLive(verified, nowSeconds)) return verified;
    this.#delete(entry);
    return undefined;
  }

  /** Caches a token until its `exp`. Evicts the oldest entry: of tokens with equal lifetimes, the first to expire. */
  add(token: string, verified: VerifiedToken, nowSeconds: number): void {
    if (this.#maxEntries === 0 || !isLive(verified, nowSeconds)) return;
    if (this.#entries.size >= this.#maxEntries) {
      const oldest = this.#entries.keys().next();
      if (!oldest.done) this.#delete(oldest.value);
    }
    this.#entries.set(token, verified);
  }

  /**
   * Maps an encrypted token to the entry of its inner token. An entry has one encrypted token, the last: anyone can
   * encrypt a token to a public key repeatedly, and must not be able to evict other tokens that way.
   */
  addEnvelope(encrypted: string, token: string): void {
    if (!this.#entries.has(token)) return;
    const last = this.#envelopeOf.get(token);
    if (last !== undefined) this.#envelopes.delete(last);
    this.#envelopes.set(encrypted, token);
    this.#envelopeOf.set(token, encrypted);
  }

  #delete(entry: string): void {
    this.#entries.delete(entry);
    const envelope = this.#envelopeOf.get(entry);
    if (envelope !== undefined) this.#envelopes.delete(envelope);
    this.#envelopeOf.delete(entry);
  }
}

function isLive(verified: VerifiedToken, nowSeconds: number): boolean {
  const exp = expirySeconds(verified);
  return exp !== undefined && nowSeconds < exp;
}
