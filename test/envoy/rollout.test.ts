/** Tests `rollout` behind a real Envoy: a policy is safe, not yet safe, or impossible to judge by the requests it got. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RunningEnvoy } from '../../scripts/envoy.mjs';
import type { RolloutReport } from '../../src/rollout/report.ts';
import { readMetrics } from '../support/admin-pages.ts';
import { type CheckedService, createScratch, startChecked } from '../support/checked-service.ts';
import { eventually, send, startSample, startUpstream, type Upstream } from '../support/envoy.ts';
import { runInProcess } from '../support/in-process.ts';
import { freshToken, OTHER_SECRET_BYTES, SECRET } from '../support/token.ts';
import { readyWorkers } from '../support/workers.ts';

const scratch = createScratch('rollout');
let upstream: Upstream;
let service: CheckedService;
let envoy: RunningEnvoy;

/** Shortened: hours to nothing, and 10,000 checks to 6. */
const CONFIG = {
  keys: [{ id: 'current', secretFile: scratch.write('secret', SECRET) }],
  policies: {
    default: { mode: 'observe' },
    broken: { mode: 'observe' },
    quiet: { mode: 'observe' },
    open: { mode: 'off' },
  },
  routes: ['broken', 'quiet', 'open'].map((policy) => ({ pathPrefix: `/${policy}`, policy })),
  rollout: { minHours: 0, minChecks: 6, maxWorstHourPercent: 100 },
  workers: 2,
};

beforeAll(async () => {
  [upstream, service] = await Promise.all([startUpstream(), startChecked(scratch, CONFIG)]);
  envoy = await startSample({ services: [service.grpc], upstream: upstream.address });
});
afterAll(async () => {
  await envoy?.stop();
  await service?.kill();
  await upstream?.close();
  scratch.remove();
});

async function statusOf(path: string, token?: string): Promise<number> {
  return (await send(envoy, { path, headers: token === undefined ? [] : [['approov-token', token]] })).status;
}

async function rollout(...args: readonly string[]) {
  const { code, stdout, stderr } = await runInProcess(['rollout', '--config', service.configFile, ...args], {
    APPROOV_ADMIN_LISTEN: service.admin,
  });
  return { code, stdout, stderr };
}

async function sentenceOf(policy: string): Promise<string> {
  const { stdout } = await rollout('--policy', policy, '--json');
  return JSON.parse(stdout).policies[0].assessment.sentence;
}

test('rollout cannot tell before there is traffic', async () => {
  expect(await rollout()).toMatchObject({ code: 5, stderr: '' });
  expect(await sentenceOf('default')).toBe('Can’t tell: 0 checks judged in the last 24 h, fewer than 6.');
});

test('rollout calls a policy safe, not yet safe, or impossible to judge, by the requests of two workers', async () => {
  for (let phone = 0; phone < 6; phone++) {
    expect(await statusOf('/', freshToken({ did: `phone ${phone}` }))).toBe(200);
    expect(await statusOf('/broken', freshToken({ did: 'retrying' }, { secret: OTHER_SECRET_BYTES }))).toBe(
      200,
    );
  }
  expect(await statusOf('/broken')).toBe(200);
  expect(await statusOf('/quiet', freshToken())).toBe(200);
  expect(await statusOf('/open')).toBe(200);

  expect((await rollout('--policy', 'default')).code).toBe(0);
  expect(await sentenceOf('default')).toBe(
    'Safe to enforce: it refused 0 of 6 checks (0 %) in the last 24 h.',
  );
  const broken = await rollout('--policy', 'broken');
  expect(broken.code).toBe(4);
  expect(broken.stdout).toMatch(/^approov-ext-authz \S+ on \S+, 2 workers, counted for \d+ s$/m);
  const shown = broken.stdout
    .split('\n')
    .slice(2)
    .join('\n')
    .replace(/at worst \d/, 'at worst N');
  expect(shown).toBe(`Policy broken, mode observe
  Not yet: enforcing denies 7 of 7 checks (100 %), more than 0.1 %.
  Safe means: at least 0 s and 6 checks, at most 0.1 % refused and 100 % in any
  hour with at least 1 % of the checks, no internal error, no failing reload.

  0 of 7 checks verified in 24 h (0 %)
  refused                       5 min  1 h  24 h  devices
  No SDK                            1    1     1       ~1
  Failed attestation or forged      6    6     6       ~1
  refused per minute: 7 in the last hour, at worst N
`);
  expect((await rollout('--policy', 'quiet')).code).toBe(5);
  expect(await sentenceOf('quiet')).toBe(
    'Can’t tell: 1 check judged in the last 24 h, fewer than 6; so far enforcing denies 0 of 1 check (0 %).',
  );
  expect((await rollout('--policy', 'open')).code).toBe(5);
  // One policy that is not yet safe decides for all.
  expect((await rollout()).code).toBe(4);
});

test('approov_rollout_would_deny_ratio has the shares of all workers, and none of a policy without a judged check', async () => {
  const metrics = await readMetrics(service.admin);
  const series = [...metrics].filter(([name]) => name.startsWith('approov_rollout_would_deny_ratio'));
  const expected = Object.entries({ default: 0, broken: 1, quiet: 0 }).flatMap(([policy, ratio]) =>
    ['5m', '1h', '24h'].map((window) => [
      `approov_rollout_would_deny_ratio{policy="${policy}",window="${window}"}`,
      ratio,
    ]),
  );
  expect(Object.fromEntries(series)).toEqual(Object.fromEntries(expected));
});

test('/rollout.json has the keys with their last use', async () => {
  const response = await fetch(`http://${service.admin}/rollout.json`);
  const report = (await response.json()) as RolloutReport;
  expect(report.keys).toEqual([
    { id: 'current', verifications: 7, last_used_at: expect.stringMatching(/^20\d\d-/) },
  ]);
  expect(Date.now() - Date.parse(report.keys[0]?.last_used_at ?? '')).toBeLessThan(600_000);
});

test('/rollout shows the counts of all workers', async () => {
  const page = await (await fetch(`http://${service.admin}/rollout`)).text();
  expect(page).toContain(', all 2 workers, since ');
  expect(page).toContain('<small>6 of 6\u0020checks</small>');
});

test('rollout still has the counts of a worker that died', async () => {
  const [first = 0] = await readyWorkers(service);
  process.kill(first, 'SIGKILL');
  await eventually(async () => !(await readyWorkers(service)).includes(first) || undefined);
  expect(await sentenceOf('default')).toBe(
    'Safe to enforce: it refused 0 of 6 checks (0 %) in the last 24 h.',
  );
  const page = await (await fetch(`http://${service.admin}/rollout`)).text();
  expect(page).toContain(' 1 worker restarted; the last seconds that each counted are lost.');
});

test('rollout cannot tell while a reload fails, or until the window is filled', async () => {
  service.writeConfig({ ...CONFIG, workers: 'many' });
  await eventually(async () => (await rollout('--policy', 'default')).code === 5 || undefined);
  expect(await sentenceOf('default')).toBe(
    'Can’t tell: config cannot be reloaded, so the last good state is in use; so far enforcing denies 0 of 6 checks (0 %).',
  );
  service.writeConfig({ ...CONFIG, rollout: { minChecks: 6 } });
  await eventually(async () => (await sentenceOf('default')).includes('less than 24 h') || undefined);
  expect(await sentenceOf('default')).toMatch(
    /^Can’t tell: counted for \d+( s| min), less than 24 h; so far enforcing denies 0 of 6 checks \(0 %\)\.$/,
  );
  service.writeConfig(CONFIG);
  await eventually(async () => (await rollout('--policy', 'default')).code === 0 || undefined);
});
