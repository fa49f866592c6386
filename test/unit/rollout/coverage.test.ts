/** Tests since when the checks of a policy count as counted. */
import { expect, test } from 'vitest';
import { coverageOf, formatCounted } from '../../../src/rollout/coverage.ts';

const changed = { cause: 'changed', atSeconds: 500 } as const;

test.each([
  ['the start of the process', null, undefined, { sinceSeconds: 100, began: 'start' }],
  ['its change', changed, undefined, { sinceSeconds: 500, began: 'changed' }],
  ['its override, if it is off', null, 700, { sinceSeconds: 700, began: 'overridden' }],
  ['its change, if that was after the override', changed, 400, { sinceSeconds: 500, began: 'changed' }],
] as const)('a policy is counted since %s', (_, restart, overriddenSeconds, coverage) => {
  expect(coverageOf({ startSeconds: 100, restart, overriddenSeconds })).toEqual(coverage);
});

test.each([
  ['start', 'counted for 2 min'],
  ['added', 'counted for 2 min since the policy was added'],
  ['left_off', 'counted for 2 min since the policy was off'],
  ['changed', 'counted for 2 min since the policy was changed'],
  ['overridden', 'counted for 2 min since the override began'],
] as const)('since %s is written as: %s', (began, text) => {
  expect(formatCounted({ seconds: 120, began })).toBe(text);
});
