/** Describes the machine and the programs of a run. */
import { execFile } from 'node:child_process';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { promisify } from 'node:util';

/**
 * @param {string} node
 * @returns {Promise<Record<string, string>>}
 */
export async function describeMachine(node) {
  return {
    CPU: `${cpus()[0]?.model.trim() ?? 'unknown'}, ${availableParallelism()} cores`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: release(),
    'load average before': loadavg()
      .map((load) => load.toFixed(2))
      .join(' '),
    'Node of the servers': await outputOf(node, ['--version']),
    'Node of the load': process.version,
    Go: (await outputOf('go', ['version'])).replace(/^go version /, ''),
  };
}

/**
 * @param {string} program
 * @param {string[]} args
 * @returns {Promise<string>}
 */
function outputOf(program, args) {
  return promisify(execFile)(program, args).then(
    ({ stdout }) => stdout.trim(),
    () => 'not installed',
  );
}
