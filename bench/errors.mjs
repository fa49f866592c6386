/** The error of a benchmark that cannot run, or that measured something wrong. */

/** The message is one line. */
export class BenchError extends Error {
  /** @override */
  name = 'BenchError';
}
