/** Tests that both workers reset the counts of a changed policy, and that a killed worker's old counts stay gone. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { PolicyReport, RolloutReport } from '../../src/rollout/report.ts';
import { type CheckedService, createScratch, startChecked } from '../support/checked-service.ts';
import { PATIENCE } from '../support/patience.ts';
import { SECRET } from '../support/token.ts';
import { readyWorkers } from '../support/workers.ts';

const scratch = createScratch('rollout-restart');
let service: CheckedService;

function configWith(policy: object): object {
  const keys = [{ id: 'current', secretFile: scratch.path('secret') }];
  return { keys, workers: 2, policies: { default: policy }, drain: { delaySeconds: 0 } };
}

beforeAll(async () => {
  scratch.write('secret', SECRET);
  service = await startChecked(scratch, configWith({ mode: 'observe' }));
});
afterAll(async () => {
  await service.kill();
  scratch.remove();
});

async function policyReport(): Promise<PolicyReport> {
  const { policies } = (await (await fetch(`http://${service.admin}/rollout.json`)).json()) as RolloutReport;
  const [only] = policies;
  if (only === undefined) throw new Error('no policy');
  return only;
}

async function expectCounted(began: string, judged: number): Promise<void> {
  await vi.waitFor(async () => {
    const { counted, windows } = await policyReport();
    expect({ began: counted.began, judged: windows['24h'].judged }).toEqual({ began, judged });
  }, PATIENCE);
}

async function reload(policy: object): Promise<void> {
  const reloads = () =>
    service.logLines().filter(({ msg, source }) => msg === 'reloaded' && source === 'config').length;
  const before = reloads();
  service.writeConfig(configWith(policy));
  service.signal('SIGHUP');
  await vi.waitFor(() => expect(reloads() - before).toBe(2), PATIENCE);
}

test('the counts of a policy are reset when its rules change, and kept when its mode changes', async () => {
  const [first = 0] = await readyWorkers(service);
  for (let check = 0; check < 5; check++) await service.ask(undefined);
  await expectCounted('start', 5);
  await reload({ mode: 'limit' });
  await expectCounted('start', 5);
  // It has reported its counts, which the primary keeps.
  process.kill(first, 'SIGKILL');
  await vi.waitFor(async () => expect(await readyWorkers(service)).not.toContain(first), PATIENCE);
  await expectCounted('start', 5);

  await reload({ mode: 'limit', issuer: ['approov.io'] });
  await expectCounted('changed', 0);
  await service.ask(undefined);
  await expectCounted('changed', 1);
  const [second = 0] = await readyWorkers(service);
  process.kill(second, 'SIGKILL');
  await vi.waitFor(async () => expect(await readyWorkers(service)).not.toContain(second), PATIENCE);
  await expectCounted('changed', 1);
});
