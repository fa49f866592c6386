/** Owns when files are looked at: again and again, and when asked; one look at a time. */

/** Kubernetes and operators expect a change to be seen within 5 s. */
const LOOK_INTERVAL_MS = 2000;

export interface Lookout {
  /** Looks now, and resolves when that look is over. */
  lookNow(): Promise<void>;
  /** A look that has begun goes on. */
  stop(): void;
}

/** @param onFault takes what a look throws or rejects with, which ends none of the looks to come. */
export function keepLooking(look: () => Promise<void>, onFault: (error: unknown) => void): Lookout {
  let looking: Promise<void> | undefined;

  /** A file that is slow to read must not be read twice at once. */
  function lookOnce(): Promise<void> {
    looking ??= look()
      .catch(onFault)
      .finally(() => {
        looking = undefined;
      });
    return looking;
  }

  const timer = setInterval(lookOnce, LOOK_INTERVAL_MS);
  return {
    async lookNow() {
      // A look that has begun may have read the old files already.
      await looking;
      await lookOnce();
    },
    stop: () => clearInterval(timer),
  };
}
