/** Tests how the mode of a policy is written. */
import { expect, test } from 'vitest';
import { formatMode } from '../../../src/rollout/mode-words.ts';

test.each([
  [{ mode: 'observe', enforce_percent: null, override: null }, 'observe'],
  [{ mode: 'enforce', enforce_percent: 5, override: null }, 'enforce for 5 % of devices'],
  [{ mode: 'enforce', override: { mode: 'observe' } }, 'observe (overridden; configured: enforce)'],
  [
    { mode: 'enforce', enforce_percent: 5, override: { mode: 'limit' } },
    'limit (overridden; configured: enforce for 5 % of devices)',
  ],
])('%j is written as: %s', (policy, text) => {
  expect(formatMode(policy)).toBe(text);
});
