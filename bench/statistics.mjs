/** Summarizes what the rounds of a run measured. */

/**
 * @typedef {object} Summary
 * @property {number} median
 * @property {number} min
 * @property {number} max
 */

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = ascending(values);
  const middle = sorted.length / 2;
  const [below, above] = [
    sorted[Math.ceil(middle) - 1] ?? Number.NaN,
    sorted[Math.floor(middle)] ?? Number.NaN,
  ];
  return (below + above) / 2;
}

/**
 * The nearest-rank percentile.
 * @param {ArrayLike<number>} values
 * @param {number} share such as 0.99
 */
export function percentile(values, share) {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/**
 * @param {readonly number[]} values
 * @returns {Summary}
 */
export function summarize(values) {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * The ratio of each round to the same round of the baseline: what disturbed a round disturbed both.
 * @param {readonly number[]} values
 * @param {readonly number[]} baseline
 */
export function pairedRatios(values, baseline) {
  return values.map((value, round) => value / (baseline[round] ?? Number.NaN));
}

/** @param {readonly number[]} values */
function ascending(values) {
  return [...values].sort((one, other) => one - other);
}
