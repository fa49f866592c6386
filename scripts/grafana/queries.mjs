/** Selectors and expressions that several panels of the dashboard use. */

const CHOSEN_CLUSTER = 'cluster=~"$cluster"';

/** Selects by the dashboard's variables. */
export const CHOSEN = `${CHOSEN_CLUSTER}, namespace=~"$namespace", job=~"$job", instance=~"$instance"`;
export const CHOSEN_POLICIES = `${CHOSEN}, policy=~"$policy"`;
/** Envoys run under another job, and often in another namespace, than the service. */
export const CHOSEN_ENVOYS = `${CHOSEN_CLUSTER}, instance=~"$instance"`;
/** Excludes skipped checks, which say nothing about tokens. */
const JUDGED = 'verdict=~"verified|unverified"';
const UNVERIFIED = 'verdict="unverified"';
/** The modes that allow requests which enforce denies. */
const LENIENT = 'mode=~"observe|limit"';

/**
 * Sums the rates of checks.
 * @param {string} by the labels to group by; empty for the total
 * @param {string} matchers
 * @param {string} [window]
 */
export function checkRate(by, matchers, window = '$__rate_interval') {
  const selector = [CHOSEN_POLICIES, matchers].filter((part) => part !== '').join(', ');
  return `sum${by === '' ? '' : ` by (${by})`} (rate(approov_checks_total{${selector}}[${window}]))`;
}

/** @param {string} by the labels to group by; empty for the total */
export function unverifiedShare(by) {
  return `${checkRate(by, UNVERIFIED)} / (${checkRate(by, JUDGED)} > 0)`;
}

/** Keeps only the policies that are in this mode now: a check counts under the mode that it was decided in. */
const STILL_IN_THIS_MODE = `and on (policy, mode) group by (policy, mode) (approov_policy_mode{${CHOSEN_POLICIES}})`;

/** Five minutes, whatever the dashboard's time range: the number is about now. */
export const wouldDenyRate = `${checkRate('policy, mode', `${LENIENT}, ${UNVERIFIED}`, '5m')} ${STILL_IN_THIS_MODE}`;
export const wouldDenyShare = `${checkRate('policy, mode', `${LENIENT}, ${UNVERIFIED}`, '5m')} / (${checkRate('policy, mode', `${LENIENT}, ${JUDGED}`, '5m')} > 0) ${STILL_IN_THIS_MODE}`;

/**
 * @param {string} histogram
 * @param {readonly number[]} fractions
 */
export function quantiles(histogram, fractions) {
  return fractions.map((fraction) => ({
    expr: `histogram_quantile(${fraction}, sum by (le) (rate(${histogram}_bucket{${CHOSEN}}[$__rate_interval])))`,
    legend: `p${fraction * 100}`,
  }));
}

/** @param {string} histogram */
export function buckets(histogram) {
  return {
    expr: `sum by (le) (increase(${histogram}_bucket{${CHOSEN}}[$__rate_interval]))`,
    legend: '{{le}}',
  };
}

/**
 * The share of tokens with at most the given seconds left.
 * @param {string} seconds a bucket's upper bound; Prometheus 3 writes it with `.0`
 */
export function remainingShare(seconds) {
  const metric = 'approov_token_remaining_seconds';
  const atMost = `sum by (instance) (rate(${metric}_bucket{${CHOSEN}, le=~"${seconds}(\\\\.0)?"}[$__rate_interval]))`;
  return `${atMost} / (sum by (instance) (rate(${metric}_count{${CHOSEN}}[$__rate_interval])) > 0)`;
}
