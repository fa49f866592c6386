/** Owns when files are looked at: again and again, and when asked; one look at a time. */

/** Short enough that a change is taken within 5 s though two reads have to agree. */
const LOOK_INTERVAL_MS = 1500;

export interface Lookout {
  /** Looks now, and resolves when that look is over. */
  lookNow(): Promise<void>;
  /** A look that has begun goes on. */
  stop(): void;
}

/**
 * @param look takes whether it was asked for by {@link Lookout.lookNow}.
 * @param onFault takes what a look throws or rejects with, which ends none of the looks to come.
 */
export function keepLooking(
  look: (isAsked: boolean) => Promise<void>,
  onFault: (error: unknown) => void,
): Lookout {
  let looking: Promise<void> | undefined;

  /** A file that is slow to read must not be read twice at once. */
  function lookOnce(isAsked: boolean): Promise<void> {
    looking ??= look(isAsked)
      .catch(onFault)
      .finally(() => {
        looking = undefined;
      });
    return looking;
  }

  const timer = setInterval(() => lookOnce(false), LOOK_INTERVAL_MS);
  return {
    async lookNow() {
      // A look that has begun may have read the old files already.
      await looking;
      await lookOnce(true);
    },
    stop: () => clearInterval(timer),
  };
}
