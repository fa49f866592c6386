/** Tests which fields of a policy decide by which rules it judges. */
import { expect, test } from 'vitest';
import type { Policy } from '../../../src/authz/policy.ts';
import { judgingRules } from '../../../src/rollout/judging-rules.ts';
import { policy } from '../../support/check.ts';

const before = judgingRules(policy());

test.each<[field: string, fields: Partial<Policy>]>([
  ['tokenHeader', { tokenHeader: 'x-token' }],
  ['tokenPrefix', { tokenPrefix: 'bearer ' }],
  ['binding', { binding: { headers: ['authorization'], when: 'required' } }],
  ['issuer', { issuer: ['approov.io'] }],
  ['audience', { audience: 'host' }],
  ['clockToleranceSeconds', { clockToleranceSeconds: 90 }],
  ['allowCorsPreflight', { allowCorsPreflight: !policy().allowCorsPreflight }],
  [
    'messageSignature',
    {
      messageSignature: {
        install: 'required',
        account: 'off',
        requiredComponents: 'default',
        contentDigest: 'off',
        maxAgeSeconds: 60,
        clockToleranceSeconds: 5,
        acceptDerSignatures: false,
        tokenHeader: 'approov-token',
        replay: 'off',
        externalScheme: 'https',
        externalHost: null,
      },
    },
  ],
])('a policy judges by other rules with another %s', (_, fields) => {
  expect(judgingRules(policy(fields))).not.toBe(before);
});

test.each<[field: string, fields: Partial<Policy>]>([
  ['mode', { mode: 'limit' }],
  ['enforcePercent', { enforcePercent: 5 }],
  ['forwardToken', { forwardToken: !policy().forwardToken }],
  ['forwardClaims', { forwardClaims: ['did'] }],
  ['denied', { denied: undefined }],
])('a policy judges by the same rules with another %s', (_, fields) => {
  expect(judgingRules(policy(fields))).toBe(before);
});

test('a policy judges by the same rules whatever the order of its fields', () => {
  expect(judgingRules(Object.fromEntries(Object.entries(policy()).reverse()) as unknown as Policy)).toBe(
    before,
  );
});
