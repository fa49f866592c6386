/** Ends calls whose message does not arrive in time. */

/** How often calls are checked. One timer serves all calls, because a timer for each would cost every check CPU. */
const SWEEP_MS = 1000;
/** Counted in sweeps: if the process stalls, late sweeps count as one, so that no call ends because of the stall. */
const TIMEOUT_SWEEPS = 5;

export interface MessageTimeout<Call> {
  /** The call's headers have arrived. */
  start(call: Call): void;
  /** The call's message is complete, or the call has ended. */
  clear(call: Call): void;
  stop(): void;
}

export function createMessageTimeout<Call>(end: (call: Call) => void): MessageTimeout<Call> {
  /** By the sweep in which they started, oldest first. */
  const incomplete = new Map<Call, number>();
  let sweeps = 0;

  function sweep(): void {
    sweeps++;
    for (const [call, startedAt] of incomplete) {
      if (sweeps - startedAt <= TIMEOUT_SWEEPS) return;
      incomplete.delete(call);
      end(call);
    }
  }

  const timer = setInterval(sweep, SWEEP_MS).unref();

  return {
    start: (call) => void incomplete.set(call, sweeps),
    clear: (call) => void incomplete.delete(call),
    stop: () => clearInterval(timer),
  };
}
