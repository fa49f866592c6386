/** Tests that an override changes the mode of its policy wherever the policy applies, and nothing else. */
import { expect, test } from 'vitest';
import { overrideModes } from '../../../src/config/override-modes.ts';
import { policy, policyTable, route } from '../../support/check.ts';

const TABLE = policyTable(
  policy({ enforcePercent: 10, issuer: ['a'] }),
  [route(policy({ name: 'pay', mode: 'limit' }), { pathPrefix: '/pay' })],
  [policy({ name: 'open', mode: 'off' })],
);

test('an override changes the policy in the table, as the default, and in routes, for all devices', () => {
  const { policies, defaultPolicy, routes } = overrideModes(
    TABLE,
    new Map([
      ['default', 'observe'],
      ['pay', 'enforce'],
      ['removed', 'enforce'],
    ]),
  );
  expect(defaultPolicy).toEqual(policy({ mode: 'observe', issuer: ['a'], enforcePercent: undefined }));
  expect(policies.get('default')).toBe(defaultPolicy);
  expect(routes).toMatchObject([{ pathPrefix: '/pay', policy: { name: 'pay', mode: 'enforce' } }]);
  expect(policies.get('pay')).toBe(routes[0]?.policy);
  expect(policies.get('open')).toBe(TABLE.policies.get('open'));
  expect([...policies.keys()]).toEqual(['default', 'pay', 'open']);
});

test('without an override, the table is the same object', () => {
  expect(overrideModes(TABLE, new Map())).toBe(TABLE);
});
