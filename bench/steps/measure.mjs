/** Times the steps of a check in several processes, as V8 optimizes each differently. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BenchError } from '../errors.mjs';

const PROGRAM = fileURLToPath(new URL('process.mjs', import.meta.url));

/**
 * @param {import('../subjects.mjs').Surroundings} surroundings
 * @param {{ instances: number, secondsPerStep: number }} pace
 * @returns {Promise<Record<string, number[]>>} microseconds by step, one value for each process
 */
export async function measureSteps({ node, folder }, { instances, secondsPerStep }) {
  /** @type {Record<string, number[]>} */
  const steps = {};
  for (let instance = 0; instance < instances; instance++) {
    for (const [label, micros] of Object.entries(await runProcess(node, [folder, `${secondsPerStep}`]))) {
      steps[label] = [...(steps[label] ?? []), micros];
    }
  }
  return steps;
}

/**
 * @param {string} node
 * @param {string[]} args
 * @returns {Promise<Record<string, number>>}
 */
async function runProcess(node, args) {
  const running = promisify(execFile)(node, [PROGRAM, ...args]);
  const kill = () => running.child.kill('SIGKILL');
  process.once('exit', kill);
  try {
    return JSON.parse((await running).stdout);
  } catch (error) {
    const { stderr, message } = /** @type {Error & { stderr?: string }} */ (error);
    throw new BenchError(`the steps of a check: ${(stderr?.trim() || message).split('\n').at(-1)}`);
  } finally {
    process.off('exit', kill);
  }
}
