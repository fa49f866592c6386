/** Metrics of message signatures: bodies that could not be compared with their digest. */
import { Counter, type Registry } from 'prom-client';
import type { CheckRecord } from './check-observer.ts';

export function createMessageMetrics(registry: Registry) {
  const unchecked = new Counter({
    name: 'approov_message_digest_unchecked_total',
    help: 'Requests with a signed Content-Digest that passed without their body, as Envoy did not send it.',
    registers: [registry],
  });
  return {
    checkDone({ decision: { messageSignature } }: CheckRecord): void {
      if (messageSignature?.kind === 'verified' && messageSignature.contentDigest === 'unchecked')
        unchecked.inc();
    },
  };
}
