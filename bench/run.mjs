/** Runs the parts of the benchmark that the options ask for. */
import { EnvoyError, findEnvoy } from '../scripts/envoy.mjs';
import { findAvailable } from './available.mjs';
import { directContenders, envoyContenders } from './contenders.mjs';
import { requireCpuTimes } from './cpu.mjs';
import { openDirect } from './direct.mjs';
import { BenchError } from './errors.mjs';
import { findNode } from './find-node.mjs';
import { describeMachine } from './machine.mjs';
import { runRounds } from './rounds.mjs';
import { measureSteps } from './steps/measure.mjs';
import { openEnvoy } from './through-envoy.mjs';

/**
 * @typedef {object} Results
 * @property {import('./rounds.mjs').PartResult} [direct]
 * @property {import('./rounds.mjs').PartResult} [envoy]
 * @property {Record<string, number[]>} [steps]
 */

/**
 * @typedef {object} Run
 * @property {string} date
 * @property {Record<string, string>} machine
 * @property {readonly Unavailable[]} unavailable
 * @property {import('./rounds.mjs').Pace} pace
 * @property {Results} results
 */

/** @typedef {{ label: string, why: string }} Unavailable */

/**
 * @param {import('./options.mjs').Options} options
 * @param {string} folder for configuration files
 * @param {{ progress: (words: string) => void, measured: (results: Results) => void }} report `measured`: one part
 * @returns {Promise<Run>}
 */
export async function runParts(
  { parts, subjects, scenarios, pace, ...options },
  folder,
  { progress, measured },
) {
  requireCpuTimes();
  const node = await findNode(options);
  const machine = await describeMachine(node);
  const commands = await findAvailable(subjects, { node, folder });
  const envoy = parts.includes('envoy') ? await envoyOrReason() : undefined;
  const unavailable = [...commands.unavailable, ...(typeof envoy === 'object' ? [envoy] : [])];
  for (const { label, why } of unavailable) progress(`NOT MEASURED: ${label}: ${why}`);
  /** @type {Results} */
  const results = {};
  if (parts.includes('direct')) {
    const contenders = orThrow('direct', directContenders(commands.subjects, scenarios.direct));
    const say = (/** @type {string} */ words) => progress(`direct: ${words}`);
    results.direct = await runRounds(contenders, commands, openDirect, pace, say);
    measured({ direct: results.direct });
  }
  if (typeof envoy === 'string') {
    const contenders = orThrow('envoy', envoyContenders(commands.subjects, scenarios.envoy));
    const open = (/** @type {import('./fleet.mjs').Fleet} */ fleet) => openEnvoy(envoy, contenders, fleet);
    const say = (/** @type {string} */ words) => progress(`through Envoy: ${words}`);
    results.envoy = await runRounds(contenders, commands, open, pace, say);
    machine['Envoy'] = results.envoy.envoyVersion ?? '';
    measured({ envoy: results.envoy });
  }
  if (parts.includes('steps')) {
    progress('steps of a check');
    results.steps = await measureSteps({ node, folder }, pace);
    measured({ steps: results.steps });
  }
  return { date: new Date().toISOString().slice(0, 10), machine, unavailable, pace, results };
}

/** @returns {Promise<string | Unavailable>} the binary */
async function envoyOrReason() {
  try {
    return await findEnvoy();
  } catch (error) {
    if (error instanceof EnvoyError) return { label: 'everything through Envoy', why: error.message };
    throw error;
  }
}

/**
 * @template T
 * @param {string} part
 * @param {readonly T[]} contenders
 */
function orThrow(part, contenders) {
  if (contenders.length > 0) return contenders;
  throw new BenchError(`${part}: no server that was chosen can run the scenarios that were chosen`);
}
