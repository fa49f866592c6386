/** Tests overrides in a service with two workers: under load, over reloads, restarts of workers, and removed policies. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { RolloutReport } from '../../src/rollout/report.ts';
import { readMetrics } from '../support/admin-pages.ts';
import { type CheckedService, createScratch, startChecked } from '../support/checked-service.ts';
import { type CheckClient, createCheckClient, metadataOf, requestWith } from '../support/grpc-client.ts';
import { PATIENCE } from '../support/patience.ts';
import { freshToken, SECRET } from '../support/token.ts';
import { readyWorkers } from '../support/workers.ts';

const scratch = createScratch('mode-override');
const clients: CheckClient[] = [];
let service: CheckedService;

function configWith(policies: object): object {
  const keys = [{ id: 'current', secretFile: scratch.path('secret') }];
  return { keys, workers: 2, policies, log: { checks: 'all' }, drain: { delaySeconds: 0 } };
}

beforeAll(async () => {
  scratch.write('secret', SECRET);
  service = await startChecked(scratch, configWith({ default: { enforcePercent: 100 }, pay: {} }));
});
afterAll(async () => {
  for (const client of clients) client.close();
  await service.kill();
  scratch.remove();
});

async function post(body: object): Promise<unknown> {
  const headers = { 'content-type': 'application/json' };
  const url = `http://${service.admin}/override`;
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  expect(response.status).toBe(200);
  return response.json();
}

const OBSERVE = { policy: 'default', mode: 'observe', seconds: 3600, reason: 'a "quoted" <reason>' };

/** A client of each worker, which the log names. */
async function clientOfEach(pids: readonly number[]): Promise<Map<number, CheckClient>> {
  const found = new Map<number, CheckClient>();
  while (found.size < pids.length) {
    const client = createCheckClient(service.grpc);
    clients.push(client);
    const did = `device-${clients.length}`;
    await client.check(requestWith({ 'approov-token': freshToken({ did }) }));
    const pid = await vi.waitFor(() => {
      const line = service.logLines().find((each) => each['did'] === did);
      expect(line).toBeDefined();
      return Number(line?.['pid']);
    }, PATIENCE);
    if (pids.includes(pid)) found.set(pid, client);
  }
  return found;
}

async function modeBy(client: CheckClient, policy?: string): Promise<string | undefined> {
  const { attributes } = requestWith({}) as { attributes: object };
  const context_extensions = policy === undefined ? {} : { approov_policy: policy };
  return metadataOf(await client.check({ attributes: { ...attributes, context_extensions } }))[
    'approov_mode'
  ];
}

/** Sends checks without a token and with a good one until told to stop, and keeps every answer. */
function keepChecking(client: CheckClient, token: string) {
  const modes: (string | undefined)[] = [];
  const wrong: unknown[] = [];
  let isOver = false;
  const sending = (async () => {
    while (!isOver) {
      const [refused, good] = await Promise.all([
        client.check(requestWith({})),
        client.check(requestWith({ 'approov-token': token })),
      ]);
      const { approov_mode: mode, approov_action: action } = metadataOf(refused);
      const isDenied = refused.denied_response?.status.code === 401 && action === 'deny';
      const isAllowed = refused.ok_response !== undefined && action === 'allow';
      if (!(mode === 'enforce' ? isDenied : mode === 'observe' && isAllowed)) wrong.push(metadataOf(refused));
      if (metadataOf(good)['approov_verdict'] !== 'verified' || good.ok_response === undefined)
        wrong.push(metadataOf(good));
      modes.push(mode, metadataOf(good)['approov_mode']);
    }
  })();
  return {
    modes,
    wrong,
    async stop() {
      isOver = true;
      await sending;
    },
  };
}

type Load = ReturnType<typeof keepChecking>;

/** Without repetitions. */
function stretches(modes: readonly (string | undefined)[]): readonly (string | undefined)[] {
  return modes.filter((mode, index) => mode !== modes[index - 1]);
}

test('under load, every worker changes to the mode of an override and back at its end, and no answer is wrong', async () => {
  const each = await clientOfEach(await readyWorkers(service));
  const token = freshToken();
  for (const client of each.values()) await client.check(requestWith({ 'approov-token': token }));
  const MISSES = 'approov_token_cache_lookups_total{outcome="miss"}';
  const misses = await service.metric(MISSES);

  const loads = [...each.values()].map((client) => keepChecking(client, token));
  const inEach = (isSo: (modes: Load['modes']) => boolean) =>
    vi.waitFor(() => expect(loads.map(({ modes }) => isSo(modes))).toEqual([true, true]), PATIENCE);
  try {
    await inEach((modes) => modes.length > 20);
    await post(OBSERVE);
    await inEach((modes) => modes.at(-1) === 'observe');
    // Short only now: a busy machine may not get to a check within a second.
    await post({ ...OBSERVE, seconds: 1 });
    await inEach((modes) => modes.at(-1) === 'enforce');
  } finally {
    await Promise.all(loads.map((load) => load.stop()));
  }

  for (const { modes, wrong } of loads) {
    expect(wrong).toEqual([]);
    expect(stretches(modes)).toEqual(['enforce', 'observe', 'enforce']);
  }
  expect(await service.metric(MISSES)).toBe(misses);
  expect(service.logLines().filter(({ msg }) => String(msg).startsWith('override'))).toMatchObject([
    { level: 'warn', pid: service.pid, msg: 'override set', mode: 'observe', reason: OBSERVE.reason },
    { level: 'warn', pid: service.pid, msg: 'override ended', cause: 'replaced' },
    { level: 'warn', pid: service.pid, msg: 'override set', mode: 'observe', reason: OBSERVE.reason },
    { level: 'warn', pid: service.pid, msg: 'override ended', cause: 'expired', configured_mode: 'enforce' },
  ]);
});

test('an override outlasts a reload and a killed worker, and the configured mode returns when it is cleared', async () => {
  const pids = await readyWorkers(service);
  await post(OBSERVE);
  service.writeConfig(configWith({ default: { mode: 'limit' }, pay: {} }));
  service.signal('SIGHUP');
  await vi.waitFor(() => {
    const reloaded = service
      .logLines()
      .filter(({ msg, source }) => msg === 'reloaded' && source === 'config');
    expect(reloaded.map(({ pid }) => pid).sort()).toEqual([...pids].sort());
  }, PATIENCE);
  process.kill(pids[0] ?? 0, 'SIGKILL');
  const next = await vi.waitFor(async () => {
    const ready = await readyWorkers(service);
    expect(ready).not.toContain(pids[0]);
    return ready;
  }, PATIENCE);

  const each = await clientOfEach(next);
  for (const client of each.values()) expect(await modeBy(client)).toBe('observe');
  const metrics = await readMetrics(service.admin);
  expect(metrics.get('approov_override_active{policy="default",mode="observe"}')).toBe(1);
  expect(metrics.get('approov_override_active{policy="pay",mode="observe"}')).toBe(0);
  expect(metrics.get('approov_overrides_total{policy="default",mode="observe"}')).toBe(3);
  expect(metrics.get('approov_policy_mode{policy="default",mode="observe"}')).toBe(1);
  expect(metrics.has('approov_policy_mode{policy="default",mode="limit"}')).toBe(false);
  const config = await (await fetch(`http://${service.admin}/config`)).text();
  expect(config).toMatch(/^ {4}mode: limit # overridden by observe until \d{4}-/m);
  expect((await fetch(`http://${service.admin}/readyz`)).status).toBe(200);
  const { policies } = (await (await fetch(`http://${service.admin}/rollout.json`)).json()) as RolloutReport;
  expect(policies.map(({ name, mode, override }) => [name, mode, override])).toEqual([
    [
      'default',
      'limit',
      {
        mode: 'observe',
        since: expect.stringMatching(/^\d{4}-.*Z$/),
        until: expect.stringMatching(/^\d{4}-.*Z$/),
        seconds_left: expect.closeTo(3600, -2),
        reason: OBSERVE.reason,
      },
    ],
    ['pay', 'enforce', null],
  ]);

  expect(await post({ policy: 'default', clear: true })).toMatchObject({
    configured_mode: 'limit',
    active: null,
    ended: { mode: 'observe', configured_mode: 'limit' },
  });
  for (const client of each.values())
    await vi.waitFor(async () => expect(await modeBy(client)).toBe('limit'), PATIENCE);
  expect(await service.metric('approov_override_active{policy="default",mode="observe"}')).toBe(0);
});

test('an override ends with its policy, and does not come back with it', async () => {
  const client = createCheckClient(service.grpc);
  clients.push(client);
  await post({ ...OBSERVE, policy: 'pay' });
  await vi.waitFor(async () => expect(await modeBy(client, 'pay')).toBe('observe'), PATIENCE);
  service.writeConfig(configWith({ default: { mode: 'limit' } }));
  service.signal('SIGHUP');
  await vi.waitFor(() => {
    expect(
      service.logLines().filter(({ msg, policy }) => msg === 'override ended' && policy === 'pay'),
    ).toMatchObject([{ cause: 'policy removed' }]);
  }, PATIENCE);
  await vi.waitFor(async () => expect(await modeBy(client, 'pay')).toBe('unknown'), PATIENCE);
  service.writeConfig(configWith({ default: { mode: 'limit' }, pay: {} }));
  service.signal('SIGHUP');
  await vi.waitFor(async () => expect(await modeBy(client, 'pay')).toBe('enforce'), PATIENCE);
});
