/** Puts policies into other modes than the configured ones, for all devices alike. */
import { createPolicyTable, type Policy, type PolicyTable } from '../authz/policy.ts';
import type { OverrideMode } from './override-request.ts';

/** By the name of the policy. */
export type OverriddenModes = ReadonlyMap<string, OverrideMode>;

/** @param modes a policy that is not configured has no effect. */
export function overrideModes(table: PolicyTable, modes: OverriddenModes): PolicyTable {
  if (modes.size === 0) return table;
  const policies = new Map(
    Array.from(table.policies, ([name, policy]) => [name, inMode(policy, modes.get(name))]),
  );
  const replaced = (policy: Policy): Policy => policies.get(policy.name) ?? policy;
  const routes = table.routes.map((route) => ({ ...route, policy: replaced(route.policy) }));
  return createPolicyTable(policies, replaced(table.defaultPolicy), routes);
}

function inMode(policy: Policy, mode: OverrideMode | undefined): Policy {
  return mode === undefined ? policy : { ...policy, mode, enforcePercent: undefined };
}
