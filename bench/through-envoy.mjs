/** Measures requests through a real Envoy: the CPU of Envoy and of the server that it asks, throughput and latency. */
import { startEnvoy } from '../scripts/envoy.mjs';
import { cpuNanoseconds } from './cpu.mjs';
import { envoyConfig } from './envoy-config.mjs';
import { httpSenders } from './senders.mjs';
import { httpRequestsOf } from './workload.mjs';

const CONNECTIONS = 40;

/** @typedef {import('./contenders.mjs').Contender} Contender */
/** @typedef {import('./fleet.mjs').Fleet} Fleet */

/**
 * Starts an Envoy with a listener for each contender.
 * @param {string} binary
 * @param {readonly Contender[]} contenders
 * @param {Fleet} fleet
 * @returns {Promise<import('./rounds.mjs').Field>}
 */
export async function openEnvoy(binary, contenders, fleet) {
  /** @type {Record<string, number>} */
  const ports = {};
  const routes = contenders.map(({ id, subject, scenario, filter }) => {
    const cluster = `${subject?.id} ${scenario.config}`;
    if (subject !== undefined) ports[cluster] = fleet.server(subject, scenario.config).port;
    return { listener: id, httpFilters: filter?.httpFilters(cluster) ?? [] };
  });
  const envoy = await startEnvoy(envoyConfig(routes, ports), binary);

  /** @param {Contender} contender @returns {Promise<import('./rounds.mjs').Lane>} */
  const openLane = async ({ id, subject, scenario, filter }) => {
    const server = subject && fleet.server(subject, scenario.config);
    const decides = filter?.decides === true && subject?.kind !== 'empty';
    return {
      senders: await httpSenders(envoy.port(id), CONNECTIONS),
      requests: httpRequestsOf(scenario.messages).map(({ bytes, expected }) => ({
        bytes,
        expected: decides ? expected : 'allowed',
      })),
      cpu: () => ({
        serverNanoseconds: server === undefined ? 0 : cpuNanoseconds(server.pid),
        envoyNanoseconds: cpuNanoseconds(envoy.pid),
      }),
    };
  };
  return { openLane, version: envoy.version, close: envoy.stop };
}
