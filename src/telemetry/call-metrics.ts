/** Metrics of Check calls: those in flight, and those that the client abandoned. */
import { Counter, Gauge, type Registry } from 'prom-client';

const ABANDONED_CAUSES = ['cancelled', 'deadline'] as const;

export function createCallMetrics(registry: Registry) {
  let inFlight = 0;
  const checkEnded = (): void => {
    inFlight--;
  };
  new Gauge({
    name: 'approov_checks_in_flight',
    help: 'Checks that were received and whose call has not ended.',
    registers: [registry],
    collect() {
      this.set(inFlight);
    },
  });
  const abandoned = new Counter({
    name: 'approov_checks_abandoned_total',
    help: 'Checks that the client abandoned before the response.',
    labelNames: ['cause'],
    registers: [registry],
  });
  for (const cause of ABANDONED_CAUSES) abandoned.inc({ cause }, 0);

  return {
    /** @returns a function to call when the call has ended. */
    checkStarted(): () => void {
      inFlight++;
      return checkEnded;
    },

    checkAbandoned(cause: (typeof ABANDONED_CAUSES)[number]): void {
      abandoned.inc({ cause });
    },
  };
}
