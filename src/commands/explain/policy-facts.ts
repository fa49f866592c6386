/** Finds which policies could apply to a request, and what selected each. */
import type { CheckRequest } from '../../authz/check-request.ts';
import type { Decision } from '../../authz/decide.ts';
import {
  type Ambiguity,
  choosePolicies,
  type Policy,
  type PolicyTable,
  type Route,
} from '../../authz/policy.ts';
import type { Mode } from '../../authz/verdict.ts';
import { nearest } from '../../config/nearest.ts';

type PolicySource =
  | { readonly by: 'name' }
  | { readonly by: 'default' }
  /** @property number in the order of the configuration, from 1. */
  | { readonly by: 'route'; readonly number: number; readonly matches: string };

export interface PolicyFacts {
  /** `null`: Envoy named a policy that is not configured. */
  readonly policy: string | null;
  /** The one in effect for the device. */
  readonly mode: Mode | null;
  /** `null`: the mode is the same for all devices. */
  readonly share: {
    readonly enforce_percent: number;
    /** `null`: neither is known. */
    readonly device_by: 'did' | 'address' | null;
    readonly enforced: boolean;
  } | null;
  /** The policies that could apply, of which the strictest outcome decides. */
  readonly candidates: readonly { readonly policy: string; readonly selected: PolicySource }[];
  readonly ambiguous: Ambiguity | null;
  readonly host_given: boolean;
  readonly known_policies: readonly string[];
  /** The configured name that an unknown one is close to. */
  readonly did_you_mean: string | null;
  readonly skipped: 'policy_off' | 'cors_preflight' | null;
}

export function policyFacts(decision: Decision, request: CheckRequest, table: PolicyTable): PolicyFacts {
  const { policy, reason, ambiguous = null } = decision;
  const known = [...table.policies.keys()];
  return {
    policy: policy?.name ?? null,
    mode: policy?.mode ?? null,
    share: shareFacts(decision),
    candidates: candidatesFor(request, table),
    ambiguous,
    host_given: request.host !== '',
    known_policies: known,
    did_you_mean: policy === undefined ? (nearest(request.policyName ?? '', known) ?? null) : null,
    skipped: reason === 'policy_off' || reason === 'cors_preflight' ? reason : null,
  };
}

function shareFacts({ facts: { share } }: Decision): PolicyFacts['share'] {
  if (share === undefined) return null;
  const { enforcePercent, by = null, isEnforced } = share;
  return { enforce_percent: enforcePercent, device_by: by, enforced: isEnforced };
}

/** Selects as a check does, but with a policy object of its own for each place, which then shows what selected it. */
function candidatesFor(request: CheckRequest, table: PolicyTable): PolicyFacts['candidates'] {
  const sources = new Map<Policy, PolicySource>();
  const marked = (policy: Policy, source: PolicySource): Policy => {
    const copy = { ...policy };
    sources.set(copy, source);
    return copy;
  };
  const { policies } = choosePolicies(request, {
    ...table,
    policies: new Map(
      Array.from(table.policies, ([name, policy]) => [name, marked(policy, { by: 'name' })] as const),
    ),
    defaultPolicy: marked(table.defaultPolicy, { by: 'default' }),
    routes: table.routes.map((route, index) => ({
      ...route,
      policy: marked(route.policy, { by: 'route', number: index + 1, matches: describeRoute(route) }),
    })),
  });
  return policies.map((policy) => ({
    policy: policy.name,
    selected: sources.get(policy) ?? { by: 'default' },
  }));
}

function describeRoute({ methods, host, pathPrefix }: Route): string {
  const target = `${host ?? ''}${pathPrefix ?? ''}`;
  return [methods?.join(' '), target].filter((part) => part).join(' ') || 'everything';
}
