/** Limits log lines per second and reason, and reports how many were suppressed. */

/** Per reason. */
const MAX_LINES_PER_SECOND = 20;

export class LineLimiter<Reason extends string> {
  readonly #nowMs: () => number;
  readonly #onSuppressed: (reason: Reason, count: number) => void;
  readonly #lines = new Map<Reason, number>();
  readonly #timer: NodeJS.Timeout;
  #windowStartMs: number;

  /**
   * @param nowMs a monotonic clock.
   * @param onSuppressed called once a second at most for each reason, and by {@link close}.
   */
  constructor(nowMs: () => number, onSuppressed: (reason: Reason, count: number) => void) {
    this.#nowMs = nowMs;
    this.#onSuppressed = onSuppressed;
    this.#windowStartMs = nowMs();
    this.#timer = setInterval(() => this.#rollOver(), 1000).unref();
  }

  allows(reason: Reason): boolean {
    this.#rollOver();
    const count = (this.#lines.get(reason) ?? 0) + 1;
    this.#lines.set(reason, count);
    return count <= MAX_LINES_PER_SECOND;
  }

  /** Stops the timer, and reports what is still unreported. */
  close(): void {
    clearInterval(this.#timer);
    this.#report();
  }

  #rollOver(): void {
    if (this.#nowMs() - this.#windowStartMs < 1000) return;
    this.#windowStartMs = this.#nowMs();
    this.#report();
  }

  #report(): void {
    for (const [reason, count] of this.#lines) {
      if (count > MAX_LINES_PER_SECOND) this.#onSuppressed(reason, count - MAX_LINES_PER_SECOND);
    }
    this.#lines.clear();
  }
}
