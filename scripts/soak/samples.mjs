/** Samples the memory, handles and event-loop lag of a service. */
import { readdirSync, readFileSync } from 'node:fs';

const PERIOD_MS = 5000;
/** The memory of the last minutes is judged; of a short soak, that of its last two thirds. */
const JUDGED_SECONDS = 20 * 60;
const JUDGED_SHARE = 2 / 3;
/** Garbage collection makes memory rise and fall; a mean over this many samples (a minute) does not. */
const SMOOTHED_SAMPLES = 12;
/** A leak grows on; what garbage collection happens to leave differs by less. */
const MAX_GROWTH_PERCENT = 5;

/**
 * @typedef {object} Sample
 * @property {number} seconds since the start
 * @property {number} memoryMib resident, of all processes together
 * @property {number} handles open file descriptors, of all processes together
 * @property {number} lagMs the event-loop delay at the 99th percentile, of the slowest process
 */

/** @param {import('./subject.mjs').Subject} subject */
export function startSampling(subject) {
  /** @type {Sample[]} */
  const samples = [];
  const startMs = performance.now();
  async function sample() {
    const metrics = await subject.metrics().catch(() => '');
    const lags = [...metrics.matchAll(/^nodejs_eventloop_lag_p99_seconds(?:\{[^}]*\})? (\S+)$/gm)];
    const pids = subject.pids();
    samples.push({
      seconds: (performance.now() - startMs) / 1000,
      memoryMib: sum(pids.map(residentMib)),
      handles: sum(pids.map(openFiles)),
      lagMs: Math.max(0, ...lags.map(([, value]) => Number(value))) * 1000,
    });
  }
  const timer = setInterval(() => void sample(), PERIOD_MS);
  return {
    stop() {
      clearInterval(timer);
      return samples;
    },
  };
}

/** @param {readonly Sample[]} samples */
export function summarize(samples) {
  const end = samples.at(-1)?.seconds ?? 0;
  const judgedFrom = end - Math.min(JUDGED_SECONDS, JUDGED_SHARE * end);
  const judged = samples.filter(({ seconds }) => seconds >= judgedFrom);
  const smooth = judged.flatMap((_, index) => {
    const window = judged.slice(index, index + SMOOTHED_SAMPLES);
    return window.length < SMOOTHED_SAMPLES
      ? []
      : [sum(window.map(({ memoryMib }) => memoryMib)) / window.length];
  });
  const [first = 0] = smooth;
  return {
    memoryMib: { start: round(first), end: round(smooth.at(-1) ?? 0), max: round(Math.max(...smooth, 0)) },
    /** How far memory rose above its start in the judged time, in percent. */
    memoryGrowthPercent: round(((smooth.at(-1) ?? 0) / first - 1) * 100),
    memoryRangePercent: round((Math.max(...smooth) / Math.min(...smooth) - 1) * 100),
    handles: { start: judged[0]?.handles ?? 0, end: judged.at(-1)?.handles ?? 0 },
    lagMs: { max: round(Math.max(...judged.map(({ lagMs }) => lagMs))) },
  };
}

/**
 * What makes a soak fail, a sentence each.
 * @param {{ answered: number, wrong: number, memoryGrowthPercent: number }} result
 */
export function failuresOf({ answered, wrong, memoryGrowthPercent }) {
  const failures = [];
  if (answered === 0) failures.push('no check was answered');
  if (wrong > 0) failures.push(`${wrong} answers were wrong`);
  // Without a mean at both ends of the judged time, there is no growth: a soak of seconds is no evidence, and no failure.
  if (memoryGrowthPercent > MAX_GROWTH_PERCENT)
    failures.push(`memory grew by ${memoryGrowthPercent} %, more than ${MAX_GROWTH_PERCENT} %`);
  return failures;
}

/** @param {readonly number[]} numbers */
function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

/** @param {number} number */
function round(number) {
  return Math.round(number * 10) / 10;
}

/** @param {number} pid */
function residentMib(pid) {
  try {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** @param {number} pid */
function openFiles(pid) {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}
