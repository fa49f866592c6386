/** Fuzzes the parsers that read what clients and operators send: `npm run fuzz -- --seconds 60 --target token`. */
import { readdirSync } from 'node:fs';
import { register } from 'node:module';
import { parseArgs } from 'node:util';
import { fuzzTarget } from './engine/loop.mjs';

/** @param {string} line */
const print = (line) => process.stdout.write(`${line}\n`);

const TARGETS = readdirSync(new URL('targets/', import.meta.url)).map((name) => name.replace(/\.mjs$/, ''));

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    target: { type: 'string', multiple: true, default: TARGETS },
    seed: { type: 'string', default: String(Date.now() % 0x7fff_ffff) },
    missed: { type: 'boolean', default: false },
  },
});
const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
const unknown = values.target.filter((name) => !TARGETS.includes(name));
if (unknown.length > 0 || !(seconds > 0) || !Number.isInteger(seed)) {
  process.stderr.write(
    `usage: npm run fuzz -- [--seconds N] [--target ${TARGETS.join('|')}]… [--seed N] [--missed]\n`,
  );
  process.exit(2);
}

// Refused inputs are errors by the thousand. A crash is run again by npm test, which shows where it is.
Error.stackTraceLimit = 0;
register('./engine/instrument.mjs', import.meta.url);
print(`seed ${seed}, ${seconds} s for each target`);
print('| target | executions | per second | branches reached | crashes |\n| --- | --- | --- | --- | --- |');
let crashed = 0;
for (const name of values.target) {
  const target = await import(`./targets/${name}.mjs`);
  const { executions, perSecond, coverage, crashes } = await fuzzTarget(name, target, { seconds, seed });
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
  if (values.missed) for (const place of coverage.missed) print(`  not reached: ${place}`);
  for (const [message, path] of crashes) print(`  ${path}: ${message}`);
  crashed += crashes.size;
}
process.exit(crashed > 0 ? 1 : 0);
