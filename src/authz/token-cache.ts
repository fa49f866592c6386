/** Caches verified tokens until they expire, so that a signature is verified once. */
import { expirySeconds } from '../approov/claims.ts';
import type { VerifiedToken } from '../approov/token.ts';

/** Most of the shortest signature: no two tokens that a key signed end alike. If two did, one would replace the other. */
const TAIL_LENGTH = 24;

interface Entry {
  readonly token: string;
  readonly verified: VerifiedToken;
  /** Its one encrypted token. */
  envelope: string | undefined;
}

/** By the whole token. Rejected tokens are never cached, so only tokens that a key signed can fill it. */
export class TokenCache {
  #maxEntries: number;
  readonly #tailLength: number;
  /** By the end of the token, as V8 would take longer to hash the whole of it than to compare it. */
  readonly #entries = new Map<string, Entry>();
  /** One iterator for all evictions: a new one would pass over the place of every entry that was deleted before. */
  readonly #oldestFirst = this.#entries.values();
  /** By encrypted token. */
  readonly #envelopes = new Map<string, Entry>();

  /**
   * @param maxEntries 0 turns the cache off.
   * @param suffixLength how many characters follow the token in the texts that are cached.
   */
  constructor(maxEntries: number, suffixLength = 0) {
    this.#maxEntries = maxEntries;
    this.#tailLength = TAIL_LENGTH + suffixLength;
  }

  /** Drops the oldest entries beyond a smaller limit. */
  resize(maxEntries: number): void {
    this.#maxEntries = maxEntries;
    while (this.#entries.size > maxEntries) this.#deleteOldest();
  }

  /** `undefined` if not cached, or expired. */
  get(token: string, nowSeconds: number): VerifiedToken | undefined {
    const entry = this.#entryOf(token) ?? this.#envelopeOf(token);
    if (entry === undefined || isLive(entry.verified, nowSeconds)) return entry?.verified;
    this.#delete(entry);
    return undefined;
  }

  /** Caches a token until its `exp`. Evicts the oldest entry: of tokens with equal lifetimes, the first to expire. */
  add(token: string, verified: VerifiedToken, nowSeconds: number): void {
    if (this.#maxEntries === 0 || !isLive(verified, nowSeconds)) return;
    const tail = this.#tailOf(token);
    const replaced = this.#entries.get(tail);
    if (replaced !== undefined) this.#delete(replaced);
    if (this.#entries.size >= this.#maxEntries) this.#deleteOldest();
    this.#entries.set(tail, { token, verified, envelope: undefined });
  }

  /**
   * Maps an encrypted token to the entry of its inner token. An entry has one encrypted token, the last: anyone can
   * encrypt a token to a public key repeatedly, and must not be able to evict other tokens that way.
   */
  addEnvelope(encrypted: string, token: string): void {
    const entry = this.#entryOf(token);
    if (entry === undefined) return;
    if (entry.envelope !== undefined) this.#envelopes.delete(entry.envelope);
    entry.envelope = encrypted;
    this.#envelopes.set(encrypted, entry);
  }

  #entryOf(token: string): Entry | undefined {
    const entry = this.#entries.get(this.#tailOf(token));
    return entry?.token === token ? entry : undefined;
  }

  #envelopeOf(encrypted: string): Entry | undefined {
    return this.#envelopes.size === 0 ? undefined : this.#envelopes.get(encrypted);
  }

  #tailOf(token: string): string {
    return token.slice(-this.#tailLength);
  }

  #deleteOldest(): void {
    const oldest = this.#oldestFirst.next();
    if (!oldest.done) this.#delete(oldest.value);
  }

  #delete({ token, envelope }: Entry): void {
    this.#entries.delete(this.#tailOf(token));
    if (envelope !== undefined) this.#envelopes.delete(envelope);
  }
}

function isLive(verified: VerifiedToken, nowSeconds: number): boolean {
  const exp = expirySeconds(verified);
  return exp !== undefined && nowSeconds < exp;
}
