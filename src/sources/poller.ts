/** Owns when files are looked at: again and again, and when asked; one look at a time. */

/** Short enough that a change is taken within 5 s though two reads have to agree. */
const POLL_INTERVAL_MS = 1500;

export interface Poller {
  /** Looks now, and resolves when that look is over. */
  pollNow(): Promise<void>;
  /** A look that has begun goes on. */
  stop(): void;
}

/**
 * @param look takes whether it was asked for by {@link Poller.pollNow}.
 * @param onError takes what a look throws or rejects with, which ends none of the looks to come.
 */
export function startPolling(
  look: (stopRequested: boolean) => Promise<void>,
  onError: (error: unknown) => void,
): Poller {
  let polling: Promise<void> | undefined;

  /** A file that is slow to read must not be read twice at once. */
  function pollOnce(stopRequested: boolean): Promise<void> {
    polling ??= look(stopRequested)
      .catch(onError)
      .finally(() => {
        polling = undefined;
      });
    return polling;
  }

  const timer = setInterval(() => pollOnce(false), POLL_INTERVAL_MS);
  return {
    async pollNow() {
      // A look that has begun may have read the old files already.
      await polling;
      await pollOnce(true);
    },
    stop: () => clearInterval(timer),
  };
}
