/**
 * Measures what a check costs (`npm run bench`): the CPU of the service next to other servers, directly and behind a real
 * Envoy, interleaved in one run. docs/performance.md explains the figures.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EnvoyError } from '../scripts/envoy.mjs';
import { findAvailable } from './available.mjs';
import { directContenders, envoyContenders } from './contenders.mjs';
import { openDirect } from './direct.mjs';
import { BenchError } from './errors.mjs';
import { findNode } from './find-node.mjs';
import { describeMachine } from './machine.mjs';
import { readOptions, USAGE } from './options.mjs';
import { directTables, envoyTables, latencyTables, memoryTables } from './report.mjs';
import { runRounds } from './rounds.mjs';
import { textTable } from './table.mjs';
import { openEnvoy } from './through-envoy.mjs';

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
  const node = await findNode(options);
  const machine = await describeMachine(node);
  const commands = await findAvailable(options.subjects, { node, folder });
  for (const { label, why } of commands.unavailable) print(`NOT MEASURED: ${label}: ${why}`);

  /** @type {import('./table.mjs').Table[]} */
  const tables = [];
  /** @type {Record<string, import('./rounds.mjs').PartResult>} */
  const results = {};
  const rate = `${options.pace.perSecond}/s`;
  if (options.parts.includes('direct')) {
    const contenders = directContenders(commands.subjects, options.scenarios.direct);
    const result = await runRounds(contenders, commands, openDirect, options.pace, (words) =>
      progress(`direct: ${words}`),
    );
    results['direct'] = result;
    tables.push(...directTables(result), ...latencyTables(`Direct, hot token, at ${rate}`, result));
    tables.push(...memoryTables('Memory after the direct load', result));
  }
  if (options.parts.includes('envoy')) {
    const contenders = envoyContenders(commands.subjects, options.scenarios.envoy);
    const open = (/** @type {import('./fleet.mjs').Fleet} */ fleet) => openEnvoy(contenders, fleet);
    const result = await runRounds(contenders, commands, open, options.pace, (words) =>
      progress(`Envoy: ${words}`),
    );
    results['envoy'] = result;
    machine['Envoy'] = result.envoyVersion ?? '';
    tables.push(...envoyTables(result), ...latencyTables(`Through Envoy, hot token, at ${rate}`, result));
    tables.push(...memoryTables('Memory after the load through Envoy', result));
  }
  for (const table of tables) print(`\n${textTable(table)}`);
  print(
    `\n${Object.entries(machine)
      .map(([name, value]) => `${name}: ${value}`)
      .join('\n')}`,
  );
  if (options.jsonFile !== undefined)
    writeFileSync(options.jsonFile, JSON.stringify({ machine, results }, undefined, 2));
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));
try {
  await main();
} catch (error) {
  const isPlain = error instanceof BenchError || error instanceof EnvoyError;
  const { message, stack } = /** @type {Error} */ (error);
  process.stderr.write(`bench: ${isPlain ? message : stack}\n`);
  process.exitCode = 1;
}
process.exit();
