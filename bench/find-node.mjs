/** Finds the Node that runs the servers. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { BenchError } from './errors.mjs';

const run = promisify(execFile);

/**
 * @param {{ node: string | undefined, nodeVersion: string | undefined }} options
 * @returns {Promise<string>} the path of the binary
 * @throws {BenchError}
 */
export async function findNode({ node, nodeVersion }) {
  if (nodeVersion === undefined) return pathOf(node ?? process.execPath, [], `--node ${node}`);
  return pathOf('npx', ['-y', '-p', `node@${nodeVersion}`, 'node'], `--node-version ${nodeVersion}`);
}

/**
 * @param {string} program
 * @param {string[]} args
 * @param {string} option
 */
async function pathOf(program, args, option) {
  try {
    const { stdout } = await run(program, [...args, '--print', 'process.execPath']);
    return stdout.trim();
  } catch (error) {
    const { stderr, message } = /** @type {Error & { stderr?: string }} */ (error);
    throw new BenchError(`${option}: ${(stderr?.trim() || message).split('\n')[0]}`);
  }
}
