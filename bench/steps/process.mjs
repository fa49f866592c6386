/** Times each step of a check in this process, and prints the microseconds of CPU by step as a line of JSON. */
import { median } from '../statistics.mjs';
import { listSteps } from './list.mjs';

const ROUNDS = 5;
const BATCH = 100;
/** Keeps V8 from removing a call whose result is not used. */
const results = new Array(BATCH);
const [folder = '', seconds = ''] = process.argv.slice(2);

const steps = await listSteps(folder);
for (const { run } of steps) time(run, Number(seconds));
/** @type {Record<string, number>} */
const medians = {};
/** @type {Map<string, number[]>} */
const values = new Map(steps.map(({ label }) => [label, []]));
for (let round = 0; round < ROUNDS; round++) {
  for (const { label, run } of steps) values.get(label)?.push(time(run, Number(seconds) / ROUNDS));
}
for (const [label, ofStep] of values) medians[label] = median(ofStep);
process.stdout.write(`${JSON.stringify(medians)}\n`);

/**
 * Microseconds of CPU per call, with the garbage collection that it causes.
 * @param {() => unknown} run
 * @param {number} forSeconds
 */
function time(run, forSeconds) {
  const endMs = performance.now() + forSeconds * 1000;
  const before = process.cpuUsage();
  let calls = 0;
  do {
    for (let call = 0; call < BATCH; call++) results[call] = run();
    calls += BATCH;
  } while (performance.now() < endMs);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / calls;
}
