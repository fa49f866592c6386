/**
 * Measures what a check costs (`npm run bench`): the service next to other servers, directly and behind a real Envoy,
 * interleaved in one run. docs/performance.md explains the figures.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EnvoyError } from '../scripts/envoy.mjs';
import { BenchError } from './errors.mjs';
import { readOptions, USAGE } from './options.mjs';
import { writePage } from './performance-page.mjs';
import { panelsOf, plotSvg } from './plot.mjs';
import { machineLines, tablesOf } from './report.mjs';
import { runParts } from './run.mjs';
import { textTable } from './table.mjs';

/** @param {string} text */
const print = (text) => process.stdout.write(`${text}\n`);

/** @param {string} words */
function progress(words) {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${words}\n`);
}

async function main() {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    print(USAGE.trimEnd());
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'approov-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const run = await runParts(options, folder, {
    progress,
    measured(results) {
      for (const table of tablesOf(options.pace, results)) print(`\n${textTable(table)}`);
    },
  });
  print(`\n${machineLines(run).join('\n')}`);
  if (options.jsonFile !== undefined)
    writeFileSync(options.jsonFile, `${JSON.stringify(run, undefined, 2)}\n`);
  if (options.svgFile !== undefined) writeFileSync(options.svgFile, plotSvg(panelsOf(run.results)));
  if (options.writeDocs) writePage(run, process.argv.slice(2));
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));
// The reader, such as `head`, has enough.
process.stdout.on('error', () => process.exit(1));
try {
  await main();
} catch (error) {
  const isPlain = error instanceof BenchError || error instanceof EnvoyError;
  const { message, stack } = /** @type {Error} */ (error);
  process.stderr.write(`bench: ${isPlain ? message : stack}\n`);
  process.exitCode = 1;
}
process.exit();
