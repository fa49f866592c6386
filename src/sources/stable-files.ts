/** Tells a changed file that is complete from one that may be half-written. */

/** Two reads so far apart that agree: nobody is writing any more. */
const MIN_AGREEMENT_MS = 1000;

/** What one read of a file found. */
export interface Sight {
  readonly digest: string;
  /** Where the file really is, if symbolic links lead to it. */
  readonly target: string | undefined;
}

/** Remembers how each file was last seen. */
export class CompleteFiles {
  readonly #nowMs: () => number;
  readonly #seen = new Map<string, Sight & { readonly sinceMs: number }>();

  /** @param nowMs milliseconds of any clock that does not go back. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /**
   * Whether the content was there at an earlier read already, or was put in place by another target of a symbolic
   * link, as Kubernetes and deployment tools do: what a link is turned to has been written before.
   */
  isComplete(file: string, { digest, target }: Sight): boolean {
    const now = this.#nowMs();
    const last = this.#seen.get(file);
    const sinceMs = last?.digest === digest ? last.sinceMs : now;
    this.#seen.set(file, { digest, target, sinceMs });
    const isSwapped = last?.target !== undefined && target !== undefined && last.target !== target;
    return isSwapped || now - sinceMs >= MIN_AGREEMENT_MS;
  }
}
