/** Remembers the signatures that this process has seen, in bounded memory, until they expire. */
import type { ReplayMark } from '../authz/replay.ts';
import { MAX_CLOCK_DIFFERENCE_SECONDS } from './clock-difference.ts';
import { isSameRequest, recordedId } from './request-id.ts';

/** About 16 MB: 150 bytes for a key, a request id and two entries (bench/replay.mjs). */
export const MAX_MARKS = 100_000;

interface LocalMarks {
  /** `full`: nothing was recorded. */
  add(mark: ReplayMark, nowSeconds: number): 'fresh' | 'replayed' | 'full';
  /** Makes another request the first, as a store knows better. */
  correct(key: string, requestId: string): void;
}

export function createLocalMarks(maxMarks = MAX_MARKS): LocalMarks {
  const requestIds = new Map<string, string>();
  /** Keys by the second in which they expire. */
  const expiring = new Map<number, string[]>();
  let lastSweep = Number.NEGATIVE_INFINITY;

  /** Once a second, in time proportional to what has expired. */
  function sweep(nowSeconds: number): void {
    // The clock may also have been set back.
    if (Math.abs(nowSeconds - lastSweep) < 1) return;
    lastSweep = nowSeconds;
    for (const [second, keys] of expiring) {
      if (second >= nowSeconds) continue;
      for (const key of keys) requestIds.delete(key);
      expiring.delete(second);
    }
  }

  return {
    add({ key, requestId, keepUntilSeconds }, nowSeconds) {
      sweep(nowSeconds);
      const first = requestIds.get(key);
      if (first !== undefined) return isSameRequest(first, requestId) ? 'fresh' : 'replayed';
      if (requestIds.size >= maxMarks) return 'full';
      requestIds.set(key, recordedId(requestId));
      const second = Math.ceil(keepUntilSeconds) + MAX_CLOCK_DIFFERENCE_SECONDS;
      const keys = expiring.get(second);
      if (keys === undefined) expiring.set(second, [key]);
      else keys.push(key);
      return 'fresh';
    },

    correct(key, requestId) {
      if (requestIds.has(key)) requestIds.set(key, recordedId(requestId));
    },
  };
}
