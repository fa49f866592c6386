/** The metric of suppressed log lines. */
import { Counter, type Registry } from 'prom-client';
import { REASON_NAMES, type Reason } from '../authz/reason.ts';

export function createLogMetrics(registry: Registry) {
  const suppressed = new Counter({
    name: 'approov_log_lines_suppressed_total',
    help: 'Log lines of checks suppressed by the rate limit.',
    labelNames: ['reason'],
    registers: [registry],
  });
  for (const reason of REASON_NAMES) suppressed.inc({ reason }, 0);

  return {
    linesSuppressed(reason: Reason, count: number): void {
      suppressed.inc({ reason }, count);
    },
  };
}
