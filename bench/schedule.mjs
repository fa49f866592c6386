/** Plans when requests are sent at a fixed rate. */

/**
 * Poisson arrivals: independent clients, whose requests come in no rhythm.
 * @param {number} perSecond
 * @param {number} count
 * @param {() => number} random from 0 to 1, 1 excluded
 * @returns {Float64Array} milliseconds from the start, ascending
 */
export function poissonArrivals(perSecond, count, random = Math.random) {
  const arrivals = new Float64Array(count);
  let at = 0;
  for (let index = 0; index < count; index++) {
    at += (-Math.log(1 - random()) / perSecond) * 1000;
    arrivals[index] = at;
  }
  return arrivals;
}
