/** Fuzzes the parsers that read what clients and operators send: `npm run fuzz -- --seconds 60 --target token`. */
import { readdirSync } from 'node:fs';
import { register } from 'node:module';
import { fuzzTarget } from './engine/loop.mjs';
import { readOptions, UsageError } from './engine/options.mjs';

/** @param {string} line */
const print = (line) => process.stdout.write(`${line}\n`);

const TARGETS = readdirSync(new URL('targets/', import.meta.url)).map((name) => name.replace(/\.mjs$/, ''));

const { seconds, executions: least, seed, targets, missed } = optionsOf(process.argv.slice(2));

// Refused inputs are errors by the thousand. A crash is run again by npm test, which shows where it is.
Error.stackTraceLimit = 0;
register('./engine/instrument.mjs', import.meta.url);
print(`seed ${seed}, at least ${seconds} s and ${least} executions for each target`);
print('| target | executions | per second | branches reached | crashes |\n| --- | --- | --- | --- | --- |');
let crashed = 0;
for (const name of targets) {
  const target = await import(`./targets/${name}.mjs`);
  const { executions, perSecond, coverage, crashes } = await fuzzTarget(name, target, {
    seconds,
    least,
    seed,
  });
  const reached = coverage.total - coverage.missed.length;
  const share = ((100 * reached) / coverage.total).toFixed(1);
  const cells = [
    name,
    executions,
    Math.round(perSecond),
    `${reached} of ${coverage.total} (${share} %)`,
    crashes.size,
  ];
  print(`| ${cells.join(' | ')} |`);
  if (missed) for (const place of coverage.missed) print(`  not reached: ${place}`);
  for (const [message, path] of crashes) print(`  ${path}: ${message}`);
  crashed += crashes.size;
}
process.exit(crashed > 0 ? 1 : 0);

/** @param {readonly string[]} args */
function optionsOf(args) {
  try {
    return readOptions(args, TARGETS);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`fuzz: ${error.message}\n`);
    process.exit(2);
  }
}
