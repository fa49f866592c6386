/** Tests that closed connections are logged once a second. */
import { expect, test } from 'vitest';
import { createConnectionErrorLog } from '../../../src/telemetry/connection-errors.ts';

test('the log of closed connections has one line a second, which counts those without a line', () => {
  const lines: object[] = [];
  let now = 0;
  const report = createConnectionErrorLog({ warn: (fields) => lines.push(fields) }, () => now);
  for (now of [0, 1, 999, 1000, 2000]) report(`at ${now}`);
  expect(lines).toEqual([
    { reason: 'at 0', not_logged: undefined },
    { reason: 'at 1000', not_logged: 2 },
    { reason: 'at 2000', not_logged: undefined },
  ]);
});
