/** Tells files whose content is stable from files that may be half-written. */

/** Two reads that agree at least this long apart: the writer has finished. */
const MIN_STABLE_MS = 1000;

/** A file as one read found it. */
interface FileVersion {
  readonly digest: string;
  /** The real path; `undefined` unless symbolic links lead to it. */
  readonly target: string | undefined;
}

/** Remembers the last version of each file. */
export class StableFiles {
  readonly #nowMs: () => number;
  readonly #lastVersions = new Map<string, FileVersion & { readonly sinceMs: number }>();

  /** @param nowMs a monotonic clock. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /**
   * Whether an earlier read found the same content, or a symbolic link now has another target: Kubernetes and
   * deployment tools write the files first and swap the link last.
   */
  isStable(file: string, { digest, target }: FileVersion): boolean {
    const now = this.#nowMs();
    const last = this.#lastVersions.get(file);
    const sinceMs = last?.digest === digest ? last.sinceMs : now;
    this.#lastVersions.set(file, { digest, target, sinceMs });
    const isSwapped = last?.target !== undefined && target !== undefined && last.target !== target;
    return isSwapped || now - sinceMs >= MIN_STABLE_MS;
  }
}
