/** Runs one target on changed inputs for a time or a number of them, and keeps those that reach something new. */
import { performance } from 'node:perf_hooks';
import { minimise, readCorpus, writeCorpus, writeCrash } from './corpus.mjs';
import { addHits, branchCoverage, clearHits, hitCounters } from './coverage.mjs';
import { createRandom, mutate } from './mutate.mjs';
import { startWatchdog } from './watchdog.mjs';

/** The clock is read once per so many runs. */
const BATCH = 64;
const DEFAULT_MAX_BYTES = 1024;

/**
 * @typedef {object} Target
 * @property {(data: Buffer) => unknown} fuzz throws on a bug; may return a promise
 * @property {readonly string[]} covers the modules whose branches count, by the start of their path
 * @property {readonly (string | Uint8Array)[]} seeds inputs to start with, besides the corpus
 * @property {readonly (string | Uint8Array)[]} words of the target's language
 * @property {number} [maxBytes]
 */

/**
 * Runs until both the seconds have passed and the least number of inputs has run.
 * @param {string} name @param {Target} target @param {{ seconds: number, least?: number, seed: number }} options
 */
export async function fuzzTarget(name, target, { seconds, least = 0, seed }) {
  const { covers, maxBytes = DEFAULT_MAX_BYTES } = target;
  const random = createRandom(seed);
  const words = target.words.map((word) => Buffer.from(word));
  const watchdog = startWatchdog(name);
  /** @type {Map<string, string>} */
  const crashes = new Map();
  let executions = 0;

  /** @param {Buffer} input */
  const run = async (input) => {
    executions++;
    watchdog.watch(input);
    clearHits();
    try {
      const result = target.fuzz(input);
      if (result instanceof Promise) await result;
    } catch (error) {
      const [message = ''] = String(error).split('\n');
      if (!crashes.has(message)) crashes.set(message, writeCrash(name, input));
    }
  };

  // What the modules did when they were loaded.
  addHits();
  const saved = readCorpus(name);
  const seeds = target.seeds.map((seed) => Buffer.from(seed));
  const pool = [...saved, ...seeds, Buffer.of()];
  /** Valid inputs, as a forged one is close to them; else rather a recent one, which reaches what others don't. */
  const pick = () => {
    if (random(4) === 0) return seeds[random(seeds.length)] ?? Buffer.of();
    return pool[pool.length - 1 - Math.min(random(pool.length), random(pool.length))] ?? Buffer.of();
  };
  for (const input of pool) {
    await run(input);
    addHits();
  }
  const start = performance.now();
  const end = start + seconds * 1000;
  while (executions < least || performance.now() < end) {
    for (let index = 0; index < BATCH; index++) {
      const input = mutate(pick(), pool[random(pool.length)] ?? Buffer.of(), words, maxBytes, random);
      await run(input);
      if (addHits()) pool.push(input);
    }
  }
  const elapsed = (performance.now() - start) / 1000;
  const coverage = branchCoverage(covers);
  const done = executions;
  await save(name, saved, pool, run);
  await watchdog.stop();
  return { name, executions: done, perSecond: done / elapsed, coverage, crashes };
}

/**
 * Replaces the corpus if this run reached more than it does.
 * @param {string} name @param {readonly Buffer[]} saved @param {readonly Buffer[]} pool
 * @param {(input: Buffer) => Promise<void>} run
 */
async function save(name, saved, pool, run) {
  /** @param {Buffer} input */
  const countersOf = async (input) => {
    await run(input);
    return hitCounters();
  };
  const before = new Set();
  for (const input of saved) for (const counter of await countersOf(input)) before.add(counter);
  const { kept, covered } = await minimise(pool, countersOf);
  if (covered.size > before.size) writeCorpus(name, kept);
}
