/** Polls at an interval and on request, one poll at a time. */

/** Short enough to apply a change within 5 s, though two reads must agree. */
const POLL_INTERVAL_MS = 1500;

interface Poller {
  /** Polls now, and resolves when that poll has ended. */
  pollNow(): Promise<void>;
  /** Does not interrupt a running poll. */
  stop(): void;
}

/**
 * @param poll gets whether {@link Poller.pollNow} requested it.
 * @param onError gets what a poll rejects with; polling goes on.
 */
export function startPolling(
  poll: (isRequested: boolean) => Promise<void>,
  onError: (error: unknown) => void,
): Poller {
  let polling: Promise<void> | undefined;

  /** A file that is slow to read must not be read twice at the same time. */
  function pollOnce(isRequested: boolean): Promise<void> {
    polling ??= poll(isRequested)
      .catch(onError)
      .finally(() => {
        polling = undefined;
      });
    return polling;
  }

  const timer = setInterval(() => pollOnce(false), POLL_INTERVAL_MS);
  return {
    async pollNow() {
      // A running poll may have read the old files already.
      await polling;
      await pollOnce(true);
    },
    stop: () => clearInterval(timer),
  };
}
