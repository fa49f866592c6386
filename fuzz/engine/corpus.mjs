/** Keeps the inputs of each target in a folder, named by their hash, and only as many as reach every branch. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CORPUS = fileURLToPath(new URL('../corpus/', import.meta.url));
const CRASHES = fileURLToPath(new URL('../crashes/', import.meta.url));

/** @param {string} folder @returns {Buffer[]} */
function readInputs(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).map((name) => readFileSync(join(folder, name)));
}

/** @param {string} target */
export const readCorpus = (target) => readInputs(join(CORPUS, target));
/** @param {string} target */
export const readCrashes = (target) => readInputs(join(CRASHES, target));

/** @param {string} target @param {readonly Buffer[]} inputs */
export function writeCorpus(target, inputs) {
  rmSync(join(CORPUS, target), { recursive: true, force: true });
  for (const input of inputs) writeInput(join(CORPUS, target), input);
}

/** @param {string} target @param {Uint8Array} input @returns the path of the file */
export function writeCrash(target, input) {
  return writeInput(join(CRASHES, target), input);
}

/** @param {string} folder @param {Uint8Array} input */
function writeInput(folder, input) {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, createHash('sha256').update(input).digest('hex').slice(0, 12));
  writeFileSync(path, input);
  return path;
}

/**
 * The shortest inputs that together move every counter, each cut down as far as it still does its part.
 * @param {readonly Buffer[]} inputs @param {(input: Buffer) => Promise<readonly number[]>} countersOf
 */
export async function minimise(inputs, countersOf) {
  /** @type {Set<number>} */
  const covered = new Set();
  const kept = [];
  for (const input of [...inputs].sort((one, other) => one.length - other.length)) {
    const own = (await countersOf(input)).filter((counter) => !covered.has(counter));
    if (own.length === 0) continue;
    const short = await shorten(input, own, countersOf);
    for (const counter of await countersOf(short)) covered.add(counter);
    kept.push(short);
  }
  return { kept, covered };
}

/** @param {Buffer} input @param {readonly number[]} own @param {(input: Buffer) => Promise<readonly number[]>} countersOf */
async function shorten(input, own, countersOf) {
  let result = input;
  for (let size = result.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at < result.length; ) {
      const shorter = Buffer.concat([result.subarray(0, at), result.subarray(at + size)]);
      const counters = new Set(await countersOf(shorter));
      if (own.every((counter) => counters.has(counter))) result = shorter;
      else at += size;
    }
  }
  return result;
}
