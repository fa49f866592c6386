/** Owns the memory of tokens whose signature was verified, so that a token is verified once and judged often. */
import { expirySeconds } from '../approov/claims.ts';
import type { VerifiedToken } from '../approov/token.ts';

/** Successes only, by the whole token: what is refused is never remembered, so nobody can fill it without a key. */
export class TokenCache {
  #maxEntries: number;
  readonly #entries = new Map<string, VerifiedToken>();
  /** The entry of each encrypted token, and the one encrypted token that each entry is known by. */
  readonly #envelopes = new Map<string, string>();
  readonly #envelopeOf = new Map<string, string>();

  /** @param maxEntries 0 remembers nothing. */
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

  /** The verified token, unless it is unknown or its `exp` has passed. */
  get(token: string, nowSeconds: number): VerifiedToken | undefined {
    const entry = this.#entries.has(token) ? token : this.#envelopes.get(token);
    if (entry === undefined) return undefined;
    const verified = this.#entries.get(entry);
    if (verified === undefined || isLive(verified, nowSeconds)) return verified;
    this.#delete(entry);
    return undefined;
  }

  /** Remembers a token until its `exp`; the oldest entry makes room, which with tokens of equal life expires first. */
  add(token: string, verified: VerifiedToken, nowSeconds: number): void {
    if (this.#maxEntries === 0 || !isLive(verified, nowSeconds)) return;
    if (this.#entries.size >= this.#maxEntries) {
      const oldest = this.#entries.keys().next();
      if (!oldest.done) this.#delete(oldest.value);
    }
    this.#entries.set(token, verified);
  }

  /**
   * Lets an encrypted token be found by the token inside, which is remembered. An entry has one such name, the last:
   * anybody can encrypt a token to a public key again and again, and must not push other tokens out by that.
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
