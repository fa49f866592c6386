/** Tests how other filters of Envoy use our answers: rate limits, RBAC and the access log. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import {
  accessLogOf,
  EXT_AUTHZ,
  type Sample,
  type Sent,
  send,
  startSample,
  startSampleService,
  startUpstream,
  type Upstream,
  withSample,
} from '../support/envoy.ts';
import type { RunningService } from '../support/process.ts';
import { freshToken } from '../support/token.ts';

let upstream: Upstream;
let service: RunningService;

beforeAll(async () => {
  [upstream, service] = await Promise.all([startUpstream(), startSampleService()]);
});
afterAll(async () => {
  await service?.kill();
  await upstream?.close();
});

function addresses() {
  return { services: [service.grpc], upstream: upstream.address };
}

async function statusOf(envoy: RunningEnvoy, sent?: Sent): Promise<number> {
  return (await send(envoy, sent)).status;
}

function token(): readonly [string, string] {
  return ['approov-token', freshToken()];
}

describe('the rate limit on unverified requests that are allowed', () => {
  /** More requests than the bucket has tokens. */
  const BURST = Array.from({ length: 30 });

  test('answers 429 once the bucket is empty, and does not limit verified requests on the same route', async () => {
    await withSample(addresses(), undefined, async (envoy) => {
      const statuses: number[] = [];
      for (const _ of BURST) {
        statuses.push(await statusOf(envoy, { path: '/search' }));
        expect(await statusOf(envoy, { path: '/search', headers: [token()] })).toBe(200);
      }
      // The bucket refills slowly, so a slow run may see a 200 between the 429s.
      expect(statuses[0]).toBe(200);
      expect(new Set(statuses)).toEqual(new Set([200, 429]));
      expect(await statusOf(envoy)).toBe(401);
      expect(await statusOf(envoy, { path: '/public' })).toBe(200);
    });
  });

  test('counts each client address separately', async () => {
    const behindProxy = ({ connectionManager }: Sample): void =>
      connectionManager.set('xff_num_trusted_hops', 1);
    await withSample(addresses(), behindProxy, async (envoy) => {
      const from = (address: string): Sent => ({ path: '/search', headers: [['x-forwarded-for', address]] });
      const statuses = await Promise.all(BURST.map(() => statusOf(envoy, from('192.0.2.1'))));
      expect(statuses).toContain(429);
      expect(await statusOf(envoy, from('192.0.2.2'))).toBe(200);
    });
  });
});

describe('the access log', () => {
  let envoy: RunningEnvoy;
  beforeAll(async () => {
    envoy = await startSample(addresses());
  });
  afterAll(() => envoy?.stop());

  test.each<{ name: string; sent: Sent & { path: string }; line: Readonly<Record<string, unknown>> }>([
    {
      name: 'what was refused',
      sent: { path: '/refused' },
      line: {
        status: 401,
        details: 'ext_authz_denied',
        approov_verdict: 'unverified',
        approov_action: 'deny',
        approov_reason: 'missing_approov_token',
        approov_policy: 'default',
      },
    },
    {
      name: 'a request that was allowed unverified',
      sent: { path: '/search/unverified' },
      line: {
        status: 200,
        details: 'via_upstream',
        approov_verdict: 'unverified',
        approov_action: 'limit',
        approov_reason: 'missing_approov_token',
        approov_policy: 'limited',
      },
    },
    {
      name: 'what was verified',
      sent: { path: '/verified', headers: [token()] },
      line: {
        status: 200,
        approov_verdict: 'verified',
        approov_action: 'allow',
        approov_reason: 'ok',
        approov_policy: 'default',
      },
    },
    {
      name: 'nothing of ours where Envoy did not ask',
      sent: { path: '/public/logo.png' },
      line: {
        status: 200,
        approov_verdict: null,
        approov_action: null,
        approov_reason: null,
        approov_policy: null,
      },
    },
  ])('shows $name', async ({ sent, line }) => {
    await send(envoy, sent);
    expect(await accessLogOf(envoy, sent.path)).toMatchObject({ method: 'GET', ...line });
  });

  test('omits the query string', async () => {
    await send(envoy, { path: '/with-query?token=abc' });
    expect(await accessLogOf(envoy, '/with-query')).toMatchObject({ status: 401 });
    expect(JSON.stringify(envoy.accessLog())).not.toContain('token=abc');
  });
});

test('an RBAC filter after ext_authz can match verified requests by our metadata', async () => {
  const principal = {
    metadata: {
      filter: EXT_AUTHZ,
      path: [{ key: 'approov_verdict' }],
      value: { string_match: { exact: 'verified' } },
    },
  };
  const requireVerified = ({ addHttpFilterAfter }: Sample): void =>
    addHttpFilterAfter(EXT_AUTHZ, {
      name: 'envoy.filters.http.rbac',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC',
        rules: {
          action: 'ALLOW',
          policies: { verified: { permissions: [{ any: true }], principals: [principal] } },
        },
      },
    });
  await withSample(addresses(), requireVerified, async (envoy) => {
    expect(await statusOf(envoy, { path: '/search' })).toBe(403);
    expect(await statusOf(envoy, { path: '/search', headers: [token()] })).toBe(200);
  });
});

test('a route that names an unknown policy is refused', async () => {
  const nameNone = ({ connectionManager }: Sample): void =>
    connectionManager.setIn(
      [
        ...['route_config', 'virtual_hosts', 0, 'routes', 1, 'typed_per_filter_config', EXT_AUTHZ],
        ...['check_settings', 'context_extensions', 'approov_policy'],
      ],
      'nowhere',
    );
  await withSample(addresses(), nameNone, async (envoy) => {
    expect(await statusOf(envoy, { path: '/search', headers: [token()] })).toBe(401);
    expect(await accessLogOf(envoy, '/search')).toMatchObject({
      approov_reason: 'unknown_policy',
      approov_policy: 'unknown',
    });
  });
});
