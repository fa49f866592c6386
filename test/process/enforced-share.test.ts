/** Tests `enforcePercent` in a running service: who is denied, and that logs, metrics and status show it. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { placeOf } from '../../src/approov/text-place.ts';
import { readMetrics } from '../support/admin-pages.ts';
import { type CheckedService, createScratch, startChecked } from '../support/checked-service.ts';
import { metadataOf } from '../support/grpc-client.ts';
import { PATIENCE } from '../support/patience.ts';
import { runCli } from '../support/process.ts';
import { freshToken, OTHER_SECRET_BYTES, SECRET } from '../support/token.ts';

const scratch = createScratch('enforced-share');
const DEVICES = Array.from({ length: 200 }, (_, index) => `device ${index}`);

function configWith(enforcePercent: number): object {
  return {
    keys: [{ id: 'current', secretFile: scratch.path('secret') }],
    policies: { default: { enforcePercent } },
    log: { checks: 'all' },
  };
}

let service: CheckedService;
beforeAll(async () => {
  scratch.write('secret', SECRET);
  service = await startChecked(scratch, configWith(25));
});
afterAll(async () => {
  await service.kill();
  scratch.remove();
});

/** The devices whose forged token is denied, and those in mode `enforce`. */
async function deniedAndEnforced(): Promise<{ denied: string[]; enforced: string[] }> {
  const answers = await Promise.all(
    DEVICES.map(async (did) => ({
      did,
      refused: await service.ask(freshToken({ did }, { secret: OTHER_SECRET_BYTES })),
      allowed: await service.ask(freshToken({ did })),
    })),
  );
  for (const { refused, allowed } of answers) {
    expect(metadataOf(refused)['approov_mode']).toBe(metadataOf(allowed)['approov_mode']);
    expect(metadataOf(allowed)['approov_action']).toBe('allow');
  }
  return {
    denied: answers.flatMap(({ did, refused }) => (refused.denied_response ? [did] : [])),
    enforced: answers.flatMap(({ did, refused }) =>
      metadataOf(refused)['approov_mode'] === 'enforce' ? [did] : [],
    ),
  };
}

const within = (percent: number): string[] => DEVICES.filter((did) => placeOf(did) < percent / 100);

test('a share of devices is denied, and after it is raised, the same ones and more', async () => {
  const first = await deniedAndEnforced();
  expect(first).toEqual({ denied: within(25), enforced: within(25) });

  service.writeConfig(configWith(60));
  service.signal('SIGHUP');
  await vi.waitFor(
    async () => expect(await service.metric('approov_policy_enforce_percent{policy="default"}')).toBe(60),
    PATIENCE,
  );
  expect(await deniedAndEnforced()).toEqual({ denied: within(60), enforced: within(60) });
  expect(within(60)).toEqual(expect.arrayContaining(first.denied));

  const metrics = await readMetrics(service.admin);
  const counted = (mode: string, verdict: string, action: string, reason: string) =>
    metrics.get(
      `approov_checks_total{policy="default",mode="${mode}",verdict="${verdict}",action="${action}",reason="${reason}"}`,
    );
  const enforced = within(25).length + within(60).length;
  const observed = 2 * DEVICES.length - enforced;
  const forged = 'invalid_token_signature';
  expect(counted('enforce', 'unverified', 'deny', forged)).toBe(enforced);
  expect(counted('observe', 'unverified', 'allow', forged)).toBe(observed);
  expect(counted('enforce', 'verified', 'allow', 'ok')).toBe(enforced);
  expect(counted('observe', 'verified', 'allow', 'ok')).toBe(observed);
});

test('the log names the share at start and on a reload, and the mode of each check', async () => {
  const lines = service.logLines();
  expect(lines.find(({ msg }) => msg === 'serving')).toMatchObject({ policies: { default: 'enforce 25 %' } });
  expect(lines.find(({ msg }) => msg === 'reloaded')).toMatchObject({
    changes: ['policy default: enforce 25 % -> enforce 60 %'],
  });
  expect(lines.filter(({ msg }) => msg === 'policy enforces a share of devices')).toMatchObject([
    { level: 'warn', enforce_percent: 25 },
    { level: 'warn', enforce_percent: 60 },
  ]);
  const observed = lines.find(({ msg, mode }) => msg === 'check failed' && mode === 'observe');
  expect(observed).toMatchObject({ action: 'allow', would_deny: true, policy: 'default' });
});

test('check-config and status name the share', async () => {
  const env = { APPROOV_ADMIN_LISTEN: service.admin };
  const args = ['--config', service.configFile];
  const [checked, status] = await Promise.all([
    runCli(['check-config', ...args]),
    runCli(['status', ...args], env),
  ]);
  expect(checked.stderr).toBe('ok: 1 key, 1 policy (default enforces for 60 % of devices), 0 routes\n');
  expect(checked.stdout).toContain('    mode: enforce\n    enforcePercent: 60\n');
  expect(status.stdout).toMatch(/^ {2}default {2}enforce 60 % /m);
});
