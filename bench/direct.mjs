/** Measures the servers directly: CPU per Check, throughput and latency. */
import { cpuNanoseconds } from './cpu.mjs';
import { grpcSenders } from './senders.mjs';
import { checksOf } from './workload.mjs';

/** Concurrent calls over all connections, unless the scenario says otherwise; at least one for each connection. */
const IN_FLIGHT = 40;

/**
 * @param {import('./fleet.mjs').Fleet} fleet
 * @returns {import('./rounds.mjs').Field}
 */
export function openDirect(fleet) {
  return {
    async openLane({ subject, scenario }) {
      if (subject === undefined) throw new RangeError('a direct contender is a server');
      const server = fleet.server(subject, scenario.config);
      return {
        senders: await grpcSenders(server.port, scenario.connections, scenario.inFlight ?? IN_FLIGHT),
        requests: checksOf(scenario.messages).map(({ bytes, expected }) => ({
          bytes,
          expected: subject.kind === 'empty' ? 'allowed' : expected,
        })),
        cpu: () => ({ serverNanoseconds: cpuNanoseconds(server.pid), envoyNanoseconds: 0 }),
      };
    },
    close: async () => undefined,
  };
}
