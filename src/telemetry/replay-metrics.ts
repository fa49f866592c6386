/** The metric of the replay store. */
import { Counter, type Registry } from 'prom-client';

export function createReplayMetrics(registry: Registry) {
  const errors = new Counter({
    name: 'approov_replay_store_errors_total',
    help: 'Signatures that could not be recorded, so that a replay could not be ruled out.',
    registers: [registry],
  });

  return {
    replayStoreFailed(): void {
      errors.inc();
    },
  };
}
