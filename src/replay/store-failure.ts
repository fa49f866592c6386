/** Names the ways in which a signature cannot be recorded, for the log. */

export const STORE_FAILURES = {
  timeout: 'the store did not answer in time',
  disconnected: 'there is no connection to the store',
  refused: 'the store answered with an error',
  overloaded: 'too many commands wait for an answer of the store',
  forgotten: 'the signature may be older than the memory of the store',
  full: 'this process has recorded as many signatures as it can',
} as const satisfies Record<string, string>;

export type StoreFailure = keyof typeof STORE_FAILURES;
