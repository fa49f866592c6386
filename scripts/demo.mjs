/**
 * Shows what the service does (`npm run demo`): sends good and bad requests through a real Envoy while the mode goes from
 * observe to limit to enforce, and fails if an answer is not the expected one.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  curlLines,
  explanationLines,
  headLine,
  isExpected,
  logLines,
  paintAnsi,
  paintNothing,
  resultLines,
  tableLines,
  titleLine,
} from './demo/screen.mjs';
import { DEFAULT_PORT, DemoError, startStack } from './demo/stack.mjs';
import { CHAPTERS, editRow, FIRST_MODE, NEXT } from './demo/story.mjs';
import { changeMode, outcomeOf, readChecks } from './demo/traffic.mjs';
import { EnvoyError } from './envoy.mjs';

const paint = process.stdout.isTTY && process.stdout.hasColors() ? paintAnsi : paintNothing;

/** @typedef {import('./demo/stack.mjs').Stack} Stack */

/** @param {...string} lines */
function print(...lines) {
  for (const line of lines) process.stdout.write(`${line}\n`);
}

/**
 * Sends every request in order and prints what came of it.
 * @param {Stack} stack
 * @returns {Promise<{ answers: number, unexpected: string[] }>}
 */
async function runChapters(stack) {
  const result = { answers: 0, unexpected: /** @type {string[]} */ ([]) };
  /** @type {(row: Parameters<typeof isExpected>[0], outcome: import('./demo/screen.mjs').Outcome, how: string[]) => void} */
  const report = (row, outcome, how) => {
    print(...resultLines(row, outcome, paint), ...how.map((line) => paint('dim', line)));
    result.answers++;
    if (!isExpected(row, outcome)) result.unexpected.push(row.words);
  };

  let mode = FIRST_MODE;
  for (const chapter of CHAPTERS) {
    print('', titleLine(chapter, paint));
    if (chapter.edit !== undefined) {
      const row = editRow(chapter.edit, mode);
      const outcome = await changeMode(stack, chapter.edit, { headers: ['@valid'] });
      report(row, outcome, [`    ${row.how} in ${stack.folder}/config.yaml, no restart`]);
      mode = chapter.edit;
    }
    for (const row of chapter.rows) {
      report(row, await outcomeOf(stack, row.request), curlLines(row.request, stack));
    }
  }
  return result;
}

/** @param {Stack} stack */
async function printEvidence(stack) {
  const line = stack.service.logLines.find((text) => text.includes('"invalid_token_signature"'));
  print('', `${paint('bold', 'LOG')} says why the token of the tampered app was denied (docs/reasons.md)`);
  print(...(line === undefined ? ['    (no line)'] : logLines(line, paint)));
  const header = readFileSync(join(stack.folder, 'expired'), 'utf8').trim();
  const explanation = await stack.explain(['--host', '127.0.0.1', '--path', '/orders', '--header', header]);
  print('', `${paint('bold', 'EXPLAIN')} shows step by step why the expired token was denied`);
  print(...explanationLines(explanation, paint));
  print('', `${paint('bold', 'METRICS')} count every check: approov_checks_total`);
  print(...tableLines([['mode', 'action', 'reason', 'checks'], ...(await readChecks(stack))], paint));
}

/** @param {Stack} stack */
async function keepRunning({ service, envoy, folder }) {
  print(
    '',
    'Still running, in mode enforce; Ctrl-C ends it. In another terminal, paste the',
    'commands, or try:',
    `    export APPROOV_BASE64_SECRET_FILE=${folder}/secret`,
    `    export APPROOV_ADMIN_LISTEN=${service.admin}`,
    '    npx approov-ext-authz status',
    '    npx approov-ext-authz mint',
    '    npx approov-ext-authz explain --host 127.0.0.1 \\',
    `      --config ${folder}/config.yaml --header "$(cat ${folder}/expired)"`,
    `    curl http://${service.admin}/metrics`,
    `    curl 'http://${envoy.admin}/stats?filter=ext_authz'`,
    `or change a mode in ${folder}/config.yaml. The service's log follows.`,
  );
  let shown = service.logLines.length;
  for (;;) {
    print(...service.logLines.slice(shown));
    shown = service.logLines.length;
    await sleep(100);
  }
}

/** @throws {DemoError} */
function readOptions() {
  try {
    const { values } = parseArgs({ options: { keep: { type: 'boolean' }, port: { type: 'string' } } });
    const port = values.port ?? `${DEFAULT_PORT}`;
    if (!/^\d{1,5}$/.test(port) || Number(port) > 65535) throw new Error(`--port ${port}: not a port`);
    return { keep: values.keep === true, port: Number(port) };
  } catch (error) {
    throw new DemoError(
      `${/** @type {Error} */ (error).message} (usage: npm run demo -- [--keep] [--port N])`,
    );
  }
}

async function main() {
  const { keep, port } = readOptions();
  const start = performance.now();
  const stack = await startStack(port);
  print(
    `${paint('bold', 'approov-ext-authz')} behind Envoy ${stack.envoy.version}, which asks it about each request`,
    'marked: allowed, and the API sees the header "x-approov-verdict: unverified"',
    '',
    headLine(paint),
  );
  // The first check is slow: it loads code and opens a connection.
  await outcomeOf(stack, { headers: ['@valid'] });
  const { answers, unexpected } = await runChapters(stack);
  await printEvidence(stack);
  const seconds = Math.round((performance.now() - start) / 1000);
  if (unexpected.length === 0)
    print('', paint('green', `All ${answers} answers as expected, in ${seconds} s.`));
  else
    print(
      '',
      paint('red', `${unexpected.length} of ${answers} answers not as expected: ${unexpected.join('; ')}`),
    );
  if (keep) await keepRunning(stack);
  if (unexpected.length > 0) return 1;
  print('', paint('bold', 'NEXT'));
  for (const [words, command] of NEXT) print(`  ${words}`, `    ${paint('cyan', command)}`);
  return 0;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));
// The reader, such as `head`, has enough.
process.stdout.on('error', () => process.exit(1));
process.exit(
  await main().catch((error) => {
    const isPlain = error instanceof DemoError || error instanceof EnvoyError;
    process.stderr.write(`demo: ${isPlain ? error.message : error.stack}\n`);
    return 1;
  }),
);
