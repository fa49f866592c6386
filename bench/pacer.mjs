/** Reports each instant of a schedule from a thread of its own, as Node's timers have a resolution of 1 ms. */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/**
 * Calls back at each instant, late by the resolution of the kernel's timers, some 0.1 ms.
 * @param {Float64Array} arrivals milliseconds from now, ascending
 * @param {(index: number, scheduledMs: number) => void} onArrival with the instant on the clock of `nowMs`
 * @returns {Promise<void>} when all have been reported
 */
export function pace(arrivals, onArrival) {
  return new Promise((resolve, reject) => {
    // Starting a thread takes a while.
    const startMs = nowMs() + START_MS;
    const worker = new Worker(new URL(import.meta.url), { workerData: { arrivals, startMs } });
    worker.on('message', (/** @type {number} */ index) => onArrival(index, startMs + (arrivals[index] ?? 0)));
    worker.once('error', reject);
    worker.once('exit', () => resolve());
  });
}

const START_MS = 150;

/** A clock that threads share: `performance.now()` starts at 0 in each. */
export function nowMs() {
  return Number(process.hrtime.bigint()) / 1e6;
}

if (!isMainThread && workerData?.arrivals !== undefined) {
  const { arrivals, startMs } = /** @type {{ arrivals: Float64Array, startMs: number }} */ (workerData);
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (const [index, arrival] of arrivals.entries()) {
    const waitMs = startMs + arrival - nowMs();
    if (waitMs > 0) Atomics.wait(never, 0, 0, waitMs);
    parentPort?.postMessage(index);
  }
}
