/** Runs the parts of the benchmark that the options ask for. */
import { findAvailable } from './available.mjs';
import { directContenders, envoyContenders } from './contenders.mjs';
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
 * @property {readonly { label: string, why: string }[]} unavailable
 * @property {import('./rounds.mjs').Pace} pace
 * @property {Results} results
 */

/**
 * @param {import('./options.mjs').Options} options
 * @param {string} folder for configuration files
 * @param {(words: string) => void} progress
 * @returns {Promise<Run>}
 */
export async function runParts({ parts, subjects, scenarios, pace, ...options }, folder, progress) {
  const node = await findNode(options);
  const machine = await describeMachine(node);
  const commands = await findAvailable(subjects, { node, folder });
  for (const { label, why } of commands.unavailable) progress(`NOT MEASURED: ${label}: ${why}`);
  /** @type {Results} */
  const results = {};
  if (parts.includes('direct')) {
    const contenders = orThrow('direct', directContenders(commands.subjects, scenarios.direct));
    results.direct = await runRounds(contenders, commands, openDirect, pace, (words) =>
      progress(`direct: ${words}`),
    );
  }
  if (parts.includes('envoy')) {
    const contenders = orThrow('envoy', envoyContenders(commands.subjects, scenarios.envoy));
    const open = (/** @type {import('./fleet.mjs').Fleet} */ fleet) => openEnvoy(contenders, fleet);
    results.envoy = await runRounds(contenders, commands, open, pace, (words) =>
      progress(`through Envoy: ${words}`),
    );
    machine['Envoy'] = results.envoy.envoyVersion ?? '';
  }
  if (parts.includes('steps')) {
    progress('steps of a check');
    results.steps = await measureSteps({ node, folder }, pace);
  }
  return {
    date: new Date().toISOString().slice(0, 10),
    machine,
    unavailable: commands.unavailable,
    pace,
    results,
  };
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
