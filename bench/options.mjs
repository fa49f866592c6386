/** Reads the command line of the benchmark. */
import { parseArgs } from 'node:util';
import { BenchError } from './errors.mjs';
import { SCENARIOS } from './scenarios.mjs';
import { SUBJECTS } from './subjects.mjs';

export const PARTS = ['direct', 'envoy', 'steps'];

/** @typedef {import('./rounds.mjs').Pace} Pace */

/** @typedef {Pace & { secondsPerStep: number }} BenchPace */

/** @type {Readonly<Record<'full' | 'quick', BenchPace>>} */
const PACES = {
  full: {
    ...{ rounds: 10, instances: 5, warmUpSeconds: 0.8, sliceSeconds: 0.6 },
    ...{ perSecond: 800, rateSeconds: 2, secondsPerStep: 0.5 },
  },
  quick: {
    ...{ rounds: 10, instances: 2, warmUpSeconds: 0.3, sliceSeconds: 0.08 },
    ...{ perSecond: 800, rateSeconds: 0.15, secondsPerStep: 0.1 },
  },
};
const QUICK_SCENARIOS = { direct: ['hot', 'distinct', 'refused'], envoy: ['hot'] };

export const USAGE = `Usage: npm run bench -- [OPTIONS]

Measures what a check costs, next to other servers, in one run. Needs Linux.

  --quick              under 2 minutes: fewer scenarios and shorter slices
  --only PARTS         of ${PARTS.join(', ')}; several with commas
  --scenario IDS       of ${SCENARIOS.map(({ id }) => id).join(', ')}
  --subject IDS        of ${SUBJECTS.map(({ id }) => id).join(', ')}
  --rounds N           rounds of each part (${PACES.full.rounds})
  --rate N             requests per second at the fixed rate (${PACES.full.perSecond})
  --node PATH          the Node that runs the servers (this one)
  --node-version N     such as 24: fetched with npx
  --json FILE          writes all values of all rounds
  --svg FILE           writes the plot
  --write-docs         writes the run into docs/performance.md and docs/performance.svg
  -h, --help
`;

/** @typedef {ReturnType<typeof readOptions>} Options */

/**
 * @param {readonly string[]} args
 * @throws {BenchError}
 */
export function readOptions(args) {
  const values = parse(args);
  const quick = values.quick === true;
  const pace = PACES[quick ? 'quick' : 'full'];
  const rounds = positive('rounds', values.rounds, pace.rounds);
  if (values.node !== undefined && values['node-version'] !== undefined) {
    throw new BenchError('--node and --node-version: use one of them');
  }
  const chosen =
    values.scenario === undefined ? undefined : listOf('scenario', values.scenario, idsOf(SCENARIOS));
  const scenariosOf = (/** @type {'direct' | 'envoy'} */ part) => {
    const ids = chosen ?? (quick ? QUICK_SCENARIOS[part] : idsOf(SCENARIOS));
    return SCENARIOS.filter(({ id }) => ids.includes(id));
  };
  const subjects = listOf('subject', values.subject, idsOf(SUBJECTS));
  return {
    help: values.help === true,
    quick,
    parts: listOf('only', values.only, PARTS),
    scenarios: { direct: scenariosOf('direct'), envoy: scenariosOf('envoy') },
    subjects: SUBJECTS.filter(({ id }) => subjects.includes(id)),
    pace: {
      ...pace,
      rounds,
      instances: Math.min(pace.instances, rounds),
      perSecond: positive('rate', values.rate, pace.perSecond),
    },
    node: values.node,
    nodeVersion: values['node-version'],
    jsonFile: values.json,
    svgFile: values.svg,
    writeDocs: values['write-docs'] === true,
  };
}

/** @param {readonly string[]} args */
function parse(args) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean' },
        only: { type: 'string' },
        scenario: { type: 'string' },
        subject: { type: 'string' },
        rounds: { type: 'string' },
        rate: { type: 'string' },
        node: { type: 'string' },
        'node-version': { type: 'string' },
        json: { type: 'string' },
        svg: { type: 'string' },
        'write-docs': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    const [sentence] = /** @type {Error} */ (error).message.split('. ');
    throw new BenchError(`${sentence} (usage: npm run bench -- --help)`);
  }
}

/** @param {readonly { id: string }[]} rows */
function idsOf(rows) {
  return rows.map(({ id }) => id);
}

/**
 * @param {string} flag
 * @param {string | undefined} value
 * @param {readonly string[]} known all of them if there is no value
 */
function listOf(flag, value, known) {
  if (value === undefined) return known;
  const items = value.split(',');
  const unknown = items.find((item) => !known.includes(item));
  if (unknown !== undefined) throw new BenchError(`--${flag} ${unknown}: not one of ${known.join(', ')}`);
  return items;
}

/**
 * @param {string} flag
 * @param {string | undefined} value
 * @param {number} standard
 */
function positive(flag, value, standard) {
  if (value === undefined) return standard;
  if (!/^[1-9]\d{0,5}$/.test(value))
    throw new BenchError(`--${flag} ${value}: not a whole number from 1 to 999999`);
  return Number(value);
}
