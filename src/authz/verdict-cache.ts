/** Owns the memory of tokens whose signature was verified, so that a token is verified once and judged often. */
import { expirySeconds } from '../approov/claims.ts';
import type { VerifiedToken } from '../approov/token.ts';

/** Successes only, by the whole token: what is refused is never remembered, so nobody can fill it without a key. */
export class VerdictCache {
  readonly #maxEntries: number;
  readonly #entries = new Map<string, VerifiedToken>();

  /** @param maxEntries 0 remembers nothing. */
  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  /** The verified token, unless it is unknown or its `exp` has passed. */
  get(token: string, nowSeconds: number): VerifiedToken | undefined {
    const verified = this.#entries.get(token);
    if (verified === undefined || isLive(verified, nowSeconds)) return verified;
    this.#entries.delete(token);
    return undefined;
  }

  /** Remembers a token until its `exp`; the oldest entry makes room, which with tokens of equal life expires first. */
  add(token: string, verified: VerifiedToken, nowSeconds: number): void {
    if (this.#maxEntries === 0 || !isLive(verified, nowSeconds)) return;
    if (this.#entries.size >= this.#maxEntries) {
      const oldest = this.#entries.keys().next();
      if (!oldest.done) this.#entries.delete(oldest.value);
    }
    this.#entries.set(token, verified);
  }
}

function isLive(verified: VerifiedToken, nowSeconds: number): boolean {
  const exp = expirySeconds(verified);
  return exp !== undefined && nowSeconds < exp;
}
