/**
 * `npm run test:platform [-- NAME…]`: runs the suites of test/platform one at a time and reports each as passed, failed or
 * skipped, with the reason. Exits with 1 after a failure, and with PLATFORM_REQUIRED=1 after a skip as well.
 */
import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startVitest } from 'vitest/node';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = 'test/platform';
const SUFFIX = '.test.ts';

/** @param {string} line */
const print = (line) => process.stdout.write(`${line}\n`);

/** @returns {string[]} the names of all suites, sorted */
function suiteNames() {
  return readdirSync(`${ROOT}${FOLDER}`)
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => basename(file, SUFFIX))
    .sort();
}

/**
 * @typedef {object} Outcome
 * @property {string} name
 * @property {number} passed
 * @property {string[]} failures
 * @property {string[]} skips the distinct reasons
 * @property {number} skipped
 * @property {number} seconds
 */

/**
 * @param {string} name
 * @returns {Promise<Outcome>}
 */
async function runSuite(name) {
  const startedAt = Date.now();
  const vitest = await startVitest('test', [`${FOLDER}/${name}${SUFFIX}`], {
    root: ROOT,
    config: 'vitest.platform.config.ts',
    watch: false,
    reporters: ['verbose'],
  });
  const modules = vitest.state.getTestModules();
  const failures = [
    ...modules.flatMap((module) => module.errors()),
    ...vitest.state.getUnhandledErrors(),
  ].map((error) => String(/** @type {{ message?: unknown }} */ (error).message ?? error));
  let passed = 0;
  let skipped = 0;
  /** @type {Set<string>} */
  const skips = new Set();
  for (const module of modules) {
    for (const suite of module.children.allSuites())
      failures.push(...suite.errors().map(({ message }) => message));
    for (const test of module.children.allTests()) {
      const result = test.result();
      if (result.state === 'passed') passed += 1;
      else if (result.state === 'failed') failures.push(test.fullName);
      else {
        skipped += 1;
        skips.add(skipReason(test));
      }
    }
  }
  await vitest.close();
  // A suite without tests must not count as passed.
  if (passed + skipped + failures.length === 0) failures.push('no test ran');
  return { name, passed, failures, skips: [...skips], skipped, seconds: (Date.now() - startedAt) / 1000 };
}

/**
 * The note of a test that skipped itself, else the title of the test or of a suite around it that says SKIPPED.
 * @param {import('vitest/node').TestCase} test
 */
function skipReason(test) {
  const result = test.result();
  if (result.state === 'skipped' && result.note) return result.note;
  const titles = test.fullName.split(' > ');
  return titles.find((title) => title.includes('SKIPPED')) ?? test.fullName;
}

/** @param {Outcome} outcome */
function describeOutcome({ name, passed, failures, skips, skipped, seconds }) {
  const state = failures.length > 0 ? 'FAILED' : skipped > 0 ? 'partly passed' : 'passed';
  const word = passed === 0 && skipped > 0 && failures.length === 0 ? 'SKIPPED' : state;
  const counts = `${passed} passed, ${failures.length} failed, ${skipped} skipped, ${seconds.toFixed(0)} s`;
  return [
    `${name.padEnd(16)} ${word} (${counts})`,
    ...failures.map((failure) => `  failed: ${failure.split('\n')[0]}`),
    ...skips.map((reason) => `  skipped: ${reason}`),
  ].join('\n');
}

async function main() {
  const known = suiteNames();
  const chosen = process.argv.slice(2);
  const unknown = chosen.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    print(`unknown suite: ${unknown.join(', ')}; known: ${known.join(', ')}`);
    return 2;
  }
  /** @type {Outcome[]} */
  const outcomes = [];
  for (const name of chosen.length > 0 ? chosen : known) {
    print(`\n== ${name}`);
    outcomes.push(await runSuite(name));
  }
  print(`\nPlatform tests\n${outcomes.map(describeOutcome).join('\n')}`);
  const isFailed = outcomes.some(({ failures }) => failures.length > 0);
  const isSkipped = outcomes.some(({ skipped }) => skipped > 0);
  if (isSkipped && process.env['PLATFORM_REQUIRED'] === '1') {
    print('PLATFORM_REQUIRED=1: a skip counts as a failure');
  }
  return isFailed || (isSkipped && process.env['PLATFORM_REQUIRED'] === '1') ? 1 : 0;
}

process.exit(await main());
