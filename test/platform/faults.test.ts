/** Tests with toxiproxy what clients see of network faults between a real Envoy and the service, and that it passes. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import {
  EXT_AUTHZ,
  eventually,
  type Sample,
  send,
  setTimeouts,
  startSample,
  startSampleService,
  startUpstream,
  type Upstream,
} from '../support/envoy.ts';
import { FAULTS, type Seen } from '../support/faults.ts';
import type { RunningService } from '../support/process.ts';
import { unmet } from '../support/requirement.ts';
import { freshToken } from '../support/token.ts';
import { type FaultProxy, startFaultProxy, TOXIPROXY } from '../support/toxiproxy.ts';

const REQUESTS = 5;
const MODES = { failClosed: false, failOpen: true } as const;
type Mode = keyof typeof MODES;

const missing = await unmet([TOXIPROXY], 'what clients see of network faults');

describe.skipIf(missing !== '')(`with toxiproxy between Envoy and the service${missing}`, () => {
  let upstream: Upstream;
  let service: RunningService;
  let proxy: FaultProxy;
  let envoys: Readonly<Record<Mode, RunningEnvoy>>;

  beforeAll(async () => {
    [upstream, service] = await Promise.all([startUpstream(), startSampleService()]);
    proxy = await startFaultProxy(service.grpc);
    const start = (mode: Mode): Promise<RunningEnvoy> =>
      startSample({ services: [proxy.address], upstream: upstream.address }, (sample: Sample) => {
        sample.httpFilter(EXT_AUTHZ).set('failure_mode_allow', MODES[mode]);
        setTimeouts(sample, { check: 2, oneTry: 1 });
      });
    envoys = { failClosed: await start('failClosed'), failOpen: await start('failOpen') };
  });
  afterAll(async () => {
    for (const envoy of Object.values(envoys ?? {})) await envoy.stop();
    await proxy?.stop();
    await service?.kill();
    await upstream?.close();
  });
  afterEach(async () => {
    await proxy.heal();
    for (const mode of ['failClosed', 'failOpen'] as const)
      await eventually(async () => ((await see(mode)) === 'verified' ? true : undefined));
  });

  async function see(mode: Mode): Promise<Seen | number> {
    const { status, upstream: seen } = await send(envoys[mode], {
      headers: [['approov-token', freshToken()]],
    });
    if (status === 503) return '503';
    if (seen === undefined) return status;
    return seen.headers.some(([name]) => name === 'x-approov-verdict') ? 'verified' : 'unverified';
  }

  const CASES = FAULTS.flatMap(({ name, toxics, ...expected }) =>
    (['failClosed', 'failOpen'] as const).map((mode) => [name, mode, expected[mode], toxics] as const),
  );

  test.each(CASES)('%s, %s: %s', async (_name, mode, expected, toxics) => {
    for (const toxic of toxics) await proxy.add(toxic);
    const seen = await Promise.all(Array.from({ length: REQUESTS }, () => see(mode)));
    expect(seen).toEqual(Array.from({ length: REQUESTS }, () => expected));
    expect(service.errors()).toBe('');
  });
});
