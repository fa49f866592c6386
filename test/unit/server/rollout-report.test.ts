/** Tests which policies have a would-deny ratio. */
import { expect, test } from 'vitest';
import { judgedPolicies } from '../../../src/server/rollout-report.ts';
import { policy, policyTable } from '../../support/check.ts';

test('the checks of a policy that is off are judged only while an override puts it into another mode', () => {
  const config = {
    policyTable: policyTable(policy({ mode: 'observe' }), [], [policy({ name: 'pay', mode: 'off' })]),
  };
  expect(judgedPolicies(config, new Map())).toEqual(['default']);
  expect(judgedPolicies(config, new Map([['pay', 'observe']]))).toEqual(['default', 'pay']);
});
