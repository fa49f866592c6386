/** Logs why connections are closed: one line a second, as a hostile peer can cause any number. */

const INTERVAL_MS = 1000;

/**
 * @param nowMs a monotonic clock.
 * @returns called with why a connection is closed, in words.
 */
export function createConnectionErrorLog(
  log: { warn(fields: object, message: string): void },
  nowMs: () => number,
): (reason: string) => void {
  let lastMs = Number.NEGATIVE_INFINITY;
  let notLogged = 0;
  return (reason) => {
    if (nowMs() - lastMs < INTERVAL_MS) {
      notLogged++;
      return;
    }
    lastMs = nowMs();
    log.warn(
      { reason, not_logged: notLogged || undefined },
      'connection closed: HTTP/2 protocol error or limit exceeded',
    );
    notLogged = 0;
  };
}
