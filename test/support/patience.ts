/** How long tests wait for what happens soon: long enough for a busy machine, as a failure is the exception. */
export const PATIENCE = { timeout: 60_000, interval: 20 };
