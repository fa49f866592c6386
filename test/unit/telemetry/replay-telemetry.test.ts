/** Tests what the log and the metrics say of the replay store. */
import { expect, test } from 'vitest';
import { createLog } from '../../../src/telemetry/log.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { createReplayLog } from '../../../src/telemetry/replay-log.ts';

function start() {
  const lines: Record<string, unknown>[] = [];
  const log = createLog({
    settings: { level: 'info', checks: 'none' },
    destination: { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
    nowMs: () => 5000,
    onSuppressed: () => undefined,
  });
  const without = ({ time, pid, hostname, ...rest }: Record<string, unknown>) => rest;
  return { replayLog: createReplayLog(log, () => 5000), lines: () => lines.map(without) };
}

test('the log says when the replay store is disconnected and connected', () => {
  const { replayLog, lines } = start();
  replayLog.storeState({ kind: 'disconnected', problem: 'ECONNREFUSED' });
  replayLog.storeState({ kind: 'connected' });
  expect(lines()).toEqual([
    { level: 'warn', problem: 'ECONNREFUSED', msg: 'replay store disconnected; connecting again' },
    { level: 'info', msg: 'replay store connected' },
  ]);
  replayLog.close();
});

test('the log has at most 20 lines a second for each way in which the replay store fails, and counts the rest', () => {
  const { replayLog, lines } = start();
  for (let failed = 0; failed < 50; failed++) replayLog.storeFailed('timeout');
  replayLog.storeFailed('refused', 'OOM');
  replayLog.close();
  const timeout = {
    level: 'warn',
    failure: 'timeout',
    meaning: 'the store did not answer in time',
    msg: 'replay store failed',
  };
  expect(lines()).toEqual([
    ...Array.from({ length: 20 }, () => timeout),
    {
      level: 'warn',
      failure: 'refused',
      meaning: 'the store answered with an error',
      problem: 'OOM',
      msg: 'replay store failed',
    },
    { level: 'warn', failure: 'timeout', suppressed: 30, msg: 'replay store failures suppressed' },
  ]);
});

test('approov_replay_store_errors_total counts from 0 how often the replay store failed', async () => {
  const metrics = createMetrics('1.2.3');
  const line = async (): Promise<string | undefined> =>
    /^approov_replay_store_errors_total.*$/m.exec(await metrics.registry.metrics())?.[0];
  expect(await line()).toBe('approov_replay_store_errors_total 0');
  metrics.replayStoreFailed();
  metrics.replayStoreFailed();
  expect(await line()).toBe('approov_replay_store_errors_total 2');
});
