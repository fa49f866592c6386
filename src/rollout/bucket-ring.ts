/** Keeps what is counted in the latest intervals of time, such as the last 24 hours. */

interface Bucket<T> {
  /** How many intervals after the epoch. */
  readonly number: number;
  readonly content: T;
}

export class BucketRing<T> {
  readonly #seconds: number;
  readonly #create: () => T;
  readonly #buckets: (Bucket<T> | undefined)[];
  #latest: Bucket<T> | undefined;

  /** @param length how many intervals are kept, the current one included. */
  constructor(seconds: number, length: number, create: () => T) {
    this.#seconds = seconds;
    this.#create = create;
    this.#buckets = Array.from({ length });
  }

  /** The content of the interval of this time; a new one takes the place of the oldest. */
  at(nowSeconds: number): T {
    const number = Math.floor(nowSeconds / this.#seconds);
    if (this.#latest?.number === number) return this.#latest.content;
    const index = number % this.#buckets.length;
    const known = this.#buckets[index];
    // After a clock was set back, an interval of the future is replaced too.
    const bucket = known?.number === number ? known : { number, content: this.#create() };
    this.#buckets[index] = bucket;
    this.#latest = bucket;
    return bucket.content;
  }

  /** In no particular order. */
  buckets(): readonly Bucket<T>[] {
    return this.#buckets.filter((bucket) => bucket !== undefined);
  }
}
