/** Reads the command line of the fuzzer. */
import { parseArgs } from 'node:util';

const MAX_SEED = 0x7fff_ffff;

/** The command line is wrong; the message says how it should be. */
export class UsageError extends Error {}

/** @param {readonly string[]} targets */
export function usage(targets) {
  return `usage: npm run fuzz -- [--seconds N] [--executions N] [--target ${targets.join('|')}]… [--seed N] [--missed]`;
}

/**
 * @param {readonly string[]} args
 * @param {readonly string[]} targets all that there are
 * @throws {UsageError}
 */
export function readOptions(args, targets) {
  const values = parse(args, targets);
  const [seconds, executions] = [Number(values.seconds), Number(values.executions)];
  const seed = Number(values.seed);
  const isKnown = values.target.every((name) => targets.includes(name));
  const isCount = Number.isInteger(executions) && executions >= 0;
  // Without executions to reach, a run of no time would try nothing.
  const hasEnd = seconds > 0 || (seconds === 0 && executions > 0);
  if (!isKnown || !isCount || !hasEnd || !Number.isInteger(seed)) throw new UsageError(usage(targets));
  return { seconds, executions, seed, targets: values.target, missed: values.missed };
}

/** @param {readonly string[]} args @param {readonly string[]} targets */
function parse(args, targets) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        seconds: { type: 'string', default: '60' },
        executions: { type: 'string', default: '0' },
        target: { type: 'string', multiple: true, default: [...targets] },
        seed: { type: 'string', default: String(Date.now() % MAX_SEED) },
        missed: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    const [sentence] = /** @type {Error} */ (error).message.split(/\.[ \n]/);
    throw new UsageError(`${sentence}\n${usage(targets)}`);
  }
}
