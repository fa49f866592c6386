/** Ends the run if one input takes too long, and keeps that input as a crash. */
import { writeSync } from 'node:fs';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { writeCrash } from './corpus.mjs';

const MAX_SECONDS = 10;
const MAX_BYTES = 65_536;
/** How many inputs were started, and the length of the one that runs. */
const STATE_WORDS = 2;

/** @param {string} target to name the crash by */
export function startWatchdog(target) {
  const shared = new SharedArrayBuffer(STATE_WORDS * 4 + MAX_BYTES);
  const state = new Int32Array(shared, 0, STATE_WORDS);
  const bytes = new Uint8Array(shared, STATE_WORDS * 4);
  const worker = new Worker(new URL(import.meta.url), { workerData: { target, shared } });
  return {
    /** Called before each run. @param {Buffer} input */
    watch(input) {
      bytes.set(input);
      state[0] = (state[0] ?? 0) + 1;
      state[1] = input.length;
    },
    stop: () => worker.terminate(),
  };
}

function watch() {
  const { target, shared } = workerData;
  const state = new Int32Array(shared, 0, STATE_WORDS);
  let last = 0;
  setInterval(() => {
    const [started = 0, length = 0] = [Atomics.load(state, 0), Atomics.load(state, 1)];
    if (started === last && started > 0) {
      const path = writeCrash(target, new Uint8Array(shared, STATE_WORDS * 4).slice(0, length));
      writeSync(2, `${target}: an input has run for ${MAX_SECONDS} seconds: ${path}\n`);
      process.kill(process.pid, 'SIGKILL');
    }
    last = started;
  }, MAX_SECONDS * 1000);
}

if (!isMainThread) watch();
