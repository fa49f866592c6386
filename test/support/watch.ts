/** Observes a service under hostile traffic: memory, open files, calls in flight, and answers to other clients. */
import { fileURLToPath } from 'node:url';
import type { ChannelCredentials } from '@grpc/grpc-js';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import { readMetrics } from './admin-pages.ts';
import { createCheckClient, metadataOf, requestWith } from './grpc-client.ts';
import type { RunningService } from './process.ts';
import { freshToken } from './token.ts';

const DEFINITION = loadSync('envoy/service/auth/v3/external_auth.proto', {
  includeDirs: [fileURLToPath(new URL('../../proto', import.meta.url))],
  keepCase: true,
});
const { Check } = DEFINITION['envoy.service.auth.v3.Authorization'] as ServiceDefinition;

/** The encoded CheckRequest for a request with these headers. */
export function checkMessage(headers: Readonly<Record<string, string>>): Buffer {
  if (Check === undefined) throw new Error('proto/ has no Check');
  return Check.requestSerialize(requestWith(headers));
}

/** The least number of checks that the other client makes. */
const MIN_ANSWERS = 20;

/** Node 20 is past its end of life, which the service warns about at start. */
const END_OF_LIFE = /^Node \d+ reached end of life/;
const CLOSED = /^connection closed: HTTP\/2 protocol error or limit exceeded/;

/** The warnings that nothing explains. Of the transports, lean reports the connections that it closes. */
export function unexpectedWarnings(service: RunningService, transport: string) {
  return service
    .logLines()
    .filter(({ level }) => level !== 'info')
    .filter(({ msg }) => !END_OF_LIFE.test(String(msg)))
    .filter(({ msg }) => !(transport === 'lean' && CLOSED.test(String(msg))));
}

export interface Watch {
  inFlight(): Promise<number>;
  /** Resident bytes. */
  memory(): Promise<number>;
  openFiles(): Promise<number>;
  cancelled(cause: 'cancelled' | 'deadline'): Promise<number>;
  /** Sends checks with valid tokens from another client while something happens, at least 20; returns their reasons. */
  reasonsDuring(something: () => Promise<void>): Promise<ReadonlySet<string | undefined>>;
}

/** @param channel for TLS; plain text by default. */
export function watchService(service: RunningService, channel?: ChannelCredentials): Watch {
  async function metric(name: string): Promise<number> {
    return (await readMetrics(service.admin)).get(name) ?? Number.NaN;
  }

  return {
    inFlight: () => metric('approov_checks_in_flight'),
    memory: () => metric('process_resident_memory_bytes'),
    openFiles: () => metric('process_open_fds'),
    cancelled: (cause) => metric(`approov_checks_abandoned_total{cause="${cause}"}`),
    async reasonsDuring(something) {
      const reasons = new Set<string | undefined>();
      const client = createCheckClient(service.grpc, channel);
      const ask = async (asked: typeof client): Promise<void> => {
        const answer = await asked.check(requestWith({ 'approov-token': freshToken() }));
        reasons.add(metadataOf(answer)['approov_reason']);
      };
      let isOver = false;
      const asking = (async () => {
        for (let asked = 0; !isOver || asked < MIN_ANSWERS; asked++) await ask(client);
      })();
      await something().finally(() => {
        isOver = true;
      });
      await asking;
      client.close();
      // New connections are accepted too.
      const late = createCheckClient(service.grpc, channel);
      await ask(late).finally(() => late.close());
      return reasons;
    },
  };
}
