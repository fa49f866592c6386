/** What clients see while the service fails, restarts or drains. */
import { status } from '@grpc/grpc-js';
import { expect, vi } from 'vitest';
import { send } from '../support/envoy.ts';
import { freshToken } from '../support/token.ts';
import type { Row } from './rows.ts';
import { uniquePath } from './traffic.ts';
import type { Variant, World } from './world.ts';

const ALWAYS = Number.POSITIVE_INFINITY;
const HEALTH_PATIENCE = { timeout: 20_000, interval: 20 };

async function statusOf({ envoy }: World, variant?: Variant): Promise<number> {
  const headers = [['approov-token', freshToken()]] as const;
  return (await send(await envoy(variant), { path: uniquePath(), headers })).status;
}

export const OUTAGE_ROWS: readonly Row[] = [
  {
    behaviour: 'A call that fails becomes the 503 of `status_on_error`.',
    otherwise: 'Envoy would answer 403, which apps take as final.',
    check: async (world) => expect(await statusOf(world)).toBe(503),
    given: { failure: { code: status.INTERNAL, times: ALWAYS } },
    broken: {},
  },
  {
    behaviour: 'Under `failure_mode_allow: true`, a call that fails allows the request.',
    otherwise: 'The setting would not do what operators expect of it in an outage.',
    check: async (world) => expect(await statusOf(world, 'failOpen')).toBe(200),
    given: { failure: { code: status.INTERNAL, times: ALWAYS } },
    broken: { response: () => ({ status: { code: 16 } }) },
  },
  {
    behaviour: 'A call that ends UNAVAILABLE is retried.',
    otherwise: 'The restart of an instance would refuse requests.',
    check: async (world) => expect(await statusOf(world)).toBe(200),
    given: { failure: { code: status.UNAVAILABLE, times: 1 } },
    broken: { failure: { code: status.INTERNAL, times: 1 } },
  },
  {
    behaviour:
      'The gRPC health check takes an instance that reports NOT_SERVING out of rotation, and puts it back.',
    otherwise: 'A draining instance would get checks until it closes.',
    async check(world) {
      await becomes(world, 'unhealthy');
      world.proxy.alter({});
      await becomes(world, 'healthy');
      expect(await statusOf(world)).toBe(200);
    },
    given: { isServing: false },
    broken: {},
  },
];

/** Waits as `eventually` does, but ends with a failed assertion, as a row must. */
async function becomes(world: World, health: 'healthy' | 'unhealthy'): Promise<void> {
  await vi.waitFor(async () => expect(await healthOf(world)).toBe(health), HEALTH_PATIENCE);
}

async function healthOf({ envoy }: World): Promise<'healthy' | 'unhealthy'> {
  const stats = await (await envoy()).stats('^cluster\\.approov_authz\\.membership_healthy$');
  return stats['cluster.approov_authz.membership_healthy'] === 0 ? 'unhealthy' : 'healthy';
}
