/** Defines the exit code that `serve` and its workers share. */

/** Invalid configuration or keys: restarting without a change to the files does not help. */
export const INVALID_CONFIGURATION = 2;
