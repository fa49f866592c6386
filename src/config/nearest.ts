/** Finds the name that a misspelt one was probably meant to be. */

/** No name that we know is longer; it bounds the cost of comparing hostile text. */
const MAX_LENGTH = 64;

/**
 * @returns the candidate closest to `name`, ignoring case: one edit away, or two if `name` has more than
 *   `twoEditsOver` characters; `undefined` if none is that close. A candidate that equals `name` is returned too.
 */
export function nearest(name: string, candidates: Iterable<string>, twoEditsOver = 4): string | undefined {
  if (name.length > MAX_LENGTH) return undefined;
  const limit = name.length > twoEditsOver ? 2 : 1;
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - name.length) > limit) continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    // One edit of a word this short makes any other.
    if (distance < bestDistance && distance < candidate.length / 2) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** How many characters must be inserted, deleted, replaced, or swapped with the next one (optimal string alignment). */
export function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const isSame = from[row - 1] === to[column - 1];
      const isSwap = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      current.push(
        Math.min(
          (last[column] ?? 0) + 1,
          (current[column - 1] ?? 0) + 1,
          (last[column - 1] ?? 0) + (isSame ? 0 : 1),
          isSwap && row > 1 && column > 1 ? (beforeLast[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    [beforeLast, last] = [last, current];
  }
  return last[to.length] ?? 0;
}
