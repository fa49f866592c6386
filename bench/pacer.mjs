/** Reports each instant of a schedule from a thread of its own, as Node's timers have a resolution of 1 ms. */
import { isMainThread, parentPort, Worker } from 'node:worker_threads';

/** Between the start of a schedule and its first instant: the time to hand it to the thread. */
const LEAD_MS = 5;

/** What the thread reports: when the schedule starts, the index of an instant, or that there are no more. */
/** @typedef {{ startMs: number } | number | 'done'} Report */

/** @typedef {ReturnType<typeof startPacer>} Pacer */

/** Starts the thread. */
export function startPacer() {
  const worker = new Worker(new URL(import.meta.url));
  return {
    /**
     * Calls back at each instant, late by the resolution of the kernel's timers, some 0.1 ms. One schedule at a time.
     * @param {Float64Array} arrivals milliseconds from now, ascending
     * @param {(index: number, scheduledMs: number) => void} onArrival with the instant on the clock of `nowMs`
     * @returns {Promise<void>} when all have been reported
     */
    run(arrivals, onArrival) {
      return new Promise((resolve) => {
        let startMs = 0;
        const onReport = (/** @type {Report} */ report) => {
          if (typeof report === 'number') onArrival(report, startMs + (arrivals[report] ?? 0));
          else if (typeof report === 'object') startMs = report.startMs;
          else {
            worker.off('message', onReport);
            resolve();
          }
        };
        worker.on('message', onReport);
        worker.postMessage(arrivals);
      });
    },
    close: () => worker.terminate(),
  };
}

/** A clock that threads share: `performance.now()` starts at 0 in each. */
export function nowMs() {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** @param {import('node:worker_threads').MessagePort} port */
function reportSchedules(port) {
  const never = new Int32Array(new SharedArrayBuffer(4));
  port.on('message', (/** @type {Float64Array} */ arrivals) => {
    const startMs = nowMs() + LEAD_MS;
    port.postMessage({ startMs });
    for (const [index, arrival] of arrivals.entries()) {
      const waitMs = startMs + arrival - nowMs();
      if (waitMs > 0) Atomics.wait(never, 0, 0, waitMs);
      port.postMessage(index);
    }
    port.postMessage('done');
  });
}

if (!isMainThread && parentPort !== null) reportSchedules(parentPort);
