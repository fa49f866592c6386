/** Ends calls whose message does not arrive in time. */

/** How often calls are checked. One timer serves all calls, because a timer for each would cost every check CPU. */
const SWEEP_MS = 1000;
/** Counted in sweeps: if the process stalls, late sweeps count as one, so that no call ends because of the stall. */
const TIMEOUT_SWEEPS = 5;

export interface MessageTimeout<Call> {
  /** The call's headers have arrived. @returns the slot of the call. */
  start(call: Call): number;
  /** The message of the call in this slot is complete, or the call has ended; once for each call. */
  clear(slot: number): void;
  stop(): void;
}

/** @param end must lead to `clear` for the call. */
export function createMessageTimeout<Call>(end: (call: Call) => void): MessageTimeout<Call> {
  // Slots are reused: a Map, with an entry added and deleted for each call, was measured to cost a check several µs.
  const calls: (Call | undefined)[] = [];
  const startedAt: number[] = [];
  const freeSlots: number[] = [];
  let sweeps = 0;

  function sweep(): void {
    sweeps++;
    for (const [slot, call] of calls.entries()) {
      if (call === undefined || sweeps - (startedAt[slot] ?? sweeps) <= TIMEOUT_SWEEPS) continue;
      calls[slot] = undefined;
      end(call);
    }
  }

  const timer = setInterval(sweep, SWEEP_MS).unref();

  return {
    start(call) {
      const slot = freeSlots.pop() ?? calls.length;
      calls[slot] = call;
      startedAt[slot] = sweeps;
      return slot;
    },

    clear(slot) {
      calls[slot] = undefined;
      freeSlots.push(slot);
    },

    stop: () => clearInterval(timer),
  };
}
