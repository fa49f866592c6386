/** Sends requests in a closed loop, which finds the throughput, or at scheduled instants, which finds the latency. */
import { BenchError } from './errors.mjs';
import { nowMs } from './pacer.mjs';

/** @typedef {'allowed' | 'denied' | 'failed'} Answer */

/**
 * @typedef {object} Request
 * @property {Buffer} bytes
 * @property {Answer} expected
 */

/**
 * What sends a request: a connection, or several.
 * @typedef {object} Sender
 * @property {(bytes: Buffer, onAnswer: (answer: Answer) => void) => void} send
 * @property {number} capacity concurrent requests
 * @property {() => void} close
 */

/**
 * Gives the requests in turn, for ever, also from one measurement to the next.
 * @param {readonly Request[]} requests
 * @returns {() => Request}
 */
export function inTurn(requests) {
  let index = 0;
  return () => /** @type {Request} */ (requests[index++ % requests.length]);
}

/** Compares each answer with the expected one: a server that answers wrongly must not look fast. */
export function createTally() {
  /** @type {Map<string, number>} */
  const unexpected = new Map();
  let answers = 0;
  return {
    /** @param {Answer} answer @param {Answer} expected */
    count(answer, expected) {
      answers++;
      if (answer === expected) return;
      const words = `${answer} instead of ${expected}`;
      unexpected.set(words, (unexpected.get(words) ?? 0) + 1);
    },
    /** @param {string} what was measured @throws {BenchError} */
    check(what) {
      if (unexpected.size === 0) return;
      const counts = Array.from(unexpected, ([words, count]) => `${count} ${words}`);
      throw new BenchError(`${what}: of ${answers} answers, ${counts.join(', ')}`);
    },
  };
}

/** @typedef {ReturnType<typeof createTally>} Tally */

/**
 * Keeps every sender at its capacity for a while.
 * @param {readonly Sender[]} senders
 * @param {() => Request} nextRequest
 * @param {{ seconds: number, minimum: number }} until both are reached
 * @param {Tally} tally
 * @returns {Promise<{ count: number, seconds: number }>} answers, and the time that they took
 */
export function closedLoop(senders, nextRequest, until, tally) {
  return new Promise((resolve) => {
    const startMs = nowMs();
    const endMs = startMs + until.seconds * 1000;
    let sent = 0;
    let answered = 0;
    /** @param {Sender} sender */
    const next = (sender) => {
      const request = nextRequest();
      sent++;
      sender.send(request.bytes, (answer) => {
        answered++;
        tally.count(answer, request.expected);
        const now = nowMs();
        if (answer !== 'failed' && (now < endMs || sent < until.minimum)) next(sender);
        else if (answered === sent) resolve({ count: answered, seconds: (now - startMs) / 1000 });
      });
    };
    for (const sender of senders) for (let slot = 0; slot < sender.capacity; slot++) next(sender);
  });
}

/**
 * Sends each request at its instant, however long the earlier ones take. If every sender is at its capacity, a request
 * waits for the next free one, and that wait is part of its latency.
 * @param {readonly Sender[]} senders
 * @param {() => Request} nextRequest
 * @param {Float64Array} arrivals
 * @param {Tally} tally
 * @param {import('./pacer.mjs').Pacer} pacer
 * @returns {Promise<Float64Array>} milliseconds from the scheduled instant to the answer
 */
export async function openLoop(senders, nextRequest, arrivals, tally, pacer) {
  const latencies = new Float64Array(arrivals.length);
  const free = senders.flatMap((sender) => Array.from({ length: sender.capacity }, () => sender));
  /** @type {(() => void)[]} */
  const waiting = [];
  let answered = 0;
  /** @type {() => void} */
  let onDone = () => undefined;
  const done = /** @type {Promise<void>} */ (
    new Promise((resolve) => {
      onDone = resolve;
    })
  );

  /** @param {Sender} sender @param {number} index @param {number} scheduledMs */
  const send = (sender, index, scheduledMs) => {
    const request = nextRequest();
    sender.send(request.bytes, (answer) => {
      latencies[index] = nowMs() - scheduledMs;
      tally.count(answer, request.expected);
      free.push(sender);
      waiting.shift()?.();
      if (++answered === arrivals.length) onDone();
    });
  };
  const sendWhenFree = (/** @type {number} */ index, /** @type {number} */ scheduledMs) => {
    const sender = free.pop();
    if (sender === undefined) waiting.push(() => sendWhenFree(index, scheduledMs));
    else send(sender, index, scheduledMs);
  };
  await pacer.run(arrivals, sendWhenFree);
  await done;
  return latencies;
}
