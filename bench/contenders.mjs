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
  return scenarios
    .filter(({ throughEnvoy }) => throughEnvoy)
    .flatMap((scenario) =>
      ENVOY_FILTERS.flatMap((filter) => {
        const { id, label } = filter;
        if (filter.asks === 'nobody') return [{ id: `${scenario.id} ${id}`, label, scenario, filter }];
        const asked = subjects.filter(({ kind }) => filter.asks === 'each server' || kind === 'service');
        return asked.map((subject) => ({
          ...{ id: `${scenario.id} ${id} ${subject.id}`, scenario, subject, filter },
          label: label === '' ? subject.label : `${subject.label}, ${label}`,
        }));
      }),
    );
}
