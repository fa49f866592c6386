/** Lists what competes in a part of a run: each server in each scenario, directly or behind one of Envoy's filters. */
import { ENVOY_FILTERS } from './envoy-filters.mjs';

/** @typedef {import('./subjects.mjs').Subject} Subject */
/** @typedef {import('./scenarios.mjs').Scenario} Scenario */

/**
 * @typedef {object} Contender
 * @property {string} id unique in its part
 * @property {string} label
 * @property {Scenario} scenario
 * @property {Subject} [subject] none: Envoy alone
 * @property {import('./envoy-filters.mjs').EnvoyFilter} [filter] none: direct
 */

/** @param {Subject} subject @param {Scenario} scenario */
function supports({ kind }, { config }) {
  return kind !== 'peer' || config === 'plain';
}

/**
 * @param {readonly Subject[]} subjects
 * @param {readonly Scenario[]} scenarios
 * @returns {Contender[]}
 */
export function directContenders(subjects, scenarios) {
  return scenarios.flatMap((scenario) =>
    subjects
      .filter((subject) => supports(subject, scenario))
      .map((subject) => ({ id: `${scenario.id} ${subject.id}`, label: subject.label, scenario, subject })),
  );
}

/**
 * @param {readonly Subject[]} subjects
 * @param {readonly Scenario[]} scenarios
 * @returns {Contender[]}
 */
export function envoyContenders(subjects, scenarios) {
  const inProxy = ENVOY_FILTERS.filter(({ asks }) => asks === 'nobody');
  return scenarios
    .filter(({ throughEnvoy }) => throughEnvoy)
    .flatMap((scenario) => [
      ...inProxy
        .filter(() => scenario.config === 'plain')
        .map((filter) => ({
          id: `${scenario.id} ${filter.id}`,
          label: filter.label,
          scenario,
          filter,
        })),
      ...subjects.flatMap((subject) => askingContenders(subject, scenario)),
    ]);
}

/**
 * @param {Subject} subject
 * @param {Scenario} scenario
 * @returns {Contender[]}
 */
function askingContenders(subject, scenario) {
  if (!supports(subject, scenario)) return [];
  const isPlainService = subject.kind === 'service' && scenario.config === 'plain';
  const filters = ENVOY_FILTERS.filter(
    ({ asks }) => asks === 'each server' || (asks === 'the service' && isPlainService),
  );
  return filters.map((filter) => ({
    ...{ id: `${scenario.id} ${filter.id} ${subject.id}`, scenario, subject, filter },
    label: filter.label === '' ? subject.label : `${subject.label}, ${filter.label}`,
  }));
}
