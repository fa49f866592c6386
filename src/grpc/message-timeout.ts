/** Ends calls whose message does not arrive in time. */

/** How often calls are checked. One timer serves all calls, because a timer for each would cost every check CPU. */
const SWEEP_MS = 1000;
/** Counted in sweeps: if the process stalls, late sweeps count as one, so that no call ends because of the stall. */
const TIMEOUT_SWEEPS = 5;

export interface MessageTimeout<Call> {
  /** The call's headers have arrived. @returns the slot of the call. */
  start(call: Call): number;
  /** The message of the call is complete, or the call has ended. No effect unless the call is still in this slot. */
  clear(slot: number, call: Call): void;
  stop(): void;
}

/** No call is in this slot. */
export const NO_SLOT = -1;

export function createMessageTimeout<Call>(end: (call: Call) => void): MessageTimeout<Call> {
  // Slots are reused: a Map, with an entry added and deleted for each call, was measured to cost a check several µs.
  const calls: (Call | undefined)[] = [];
  const startedAt: number[] = [];
  const freeSlots: number[] = [];
  let sweeps = 0;

  function free(slot: number): void {
    calls[slot] = undefined;
    freeSlots.push(slot);
  }

  function sweep(): void {
    sweeps++;
    for (const [slot, call] of calls.entries()) {
      if (call === undefined || sweeps - (startedAt[slot] ?? sweeps) <= TIMEOUT_SWEEPS) continue;
      free(slot);
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

    clear(slot, call) {
      if (slot !== NO_SLOT && calls[slot] === call) free(slot);
    },

    stop: () => clearInterval(timer),
  };
}
