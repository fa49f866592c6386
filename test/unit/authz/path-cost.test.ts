/** Tests the cost of matching a path by counting what is read: the sender chooses its length, the operator the number of routes. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import * as paths from '../../../src/authz/path.ts';
import { choosePolicies } from '../../../src/authz/policy.ts';
import { checkRequest, policy, policyTable, route } from '../../support/check.ts';

vi.mock('../../../src/authz/path.ts', { spy: true });

const ROUTES = Array.from({ length: 50 }, (_, index) =>
  route(policy({ name: `p${index}` }), { pathPrefix: `/%40a/${index}` }),
);
const table = policyTable(policy(), ROUTES);
const LONGEST_PREFIX = '/@a/49'.length;

beforeEach(() => {
  vi.clearAllMocks();
});

describe('a path is read', () => {
  it.each([
    ['plain', `/${'%40a/'.repeat(1300)}`],
    ['ambiguous', '/%40a%2e'],
    ['over 8 KiB', `/${'%40a'.repeat(14_000)}`],
  ])(
    'once for 50 routes if it is %s, and decoded no further than the longest prefix and what follows it',
    (_, path) => {
      choosePolicies(checkRequest({ path }), table);
      expect(vi.mocked(paths.isPlainPath).mock.calls).toEqual([[path]]);
      const readings = vi.mocked(paths.readPath).mock.results.map(({ value }) => value as paths.PathReadings);
      expect(readings.length).toBeLessThanOrEqual(1);
      for (const reading of readings) {
        // As sent, a prefix is up to three times as long.
        expect(reading.decoded.length).toBeLessThanOrEqual('/%40a/49'.length + 1);
        expect(reading.decoded.length).toBeGreaterThan(LONGEST_PREFIX);
      }
    },
  );

  it('not decoded if neither it nor a prefix has anything to decode or fold', () => {
    const bare = policyTable(policy(), [route(policy({ name: 'a' }), { pathPrefix: '/orders' })]);
    vi.clearAllMocks();
    choosePolicies(checkRequest({ path: '/orders/42' }), bare);
    expect(paths.readPath).not.toHaveBeenCalled();
  });
});
