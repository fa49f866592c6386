/** Finds likely mistakes in a valid configuration. */
import type { Policy } from '../authz/policy.ts';
import { MODES } from '../authz/verdict.ts';
import type { Config, Problem } from './config.ts';

export function findWarnings({ policyTable }: Config): readonly Problem[] {
  const { defaultPolicy, routes } = policyTable;
  return routes.flatMap(({ policy }, index) =>
    isStricterPolicy(policy, defaultPolicy)
      ? [
          {
            path: `routes[${index}].policy`,
            message:
              `${policy.name} is stricter than the default policy ${defaultPolicy.name}: a request that an upstream ` +
              'routes here though its path does not match escapes it; make the strictest policy the default',
          },
        ]
      : [],
  );
}

/** Whether some request gets a stricter action under `policy` than under `than`. */
function isStricterPolicy(policy: Policy, than: Policy): boolean {
  const mode = MODES.indexOf(policy.mode);
  if (mode > MODES.indexOf(than.mode)) return true;
  const others = requirementsOf(than);
  return (
    mode >= MODES.indexOf('limit') &&
    requirementsOf(policy).some((requirement) => !others.includes(requirement))
  );
}

/** What a policy requires beyond a valid signature and an `exp` in the future. */
function requirementsOf({ binding, issuer, audience, allowCorsPreflight }: Policy): readonly string[] {
  return [
    ...(binding === null ? [] : ['binding']),
    ...(binding?.when === 'required' ? ['required binding'] : []),
    ...(issuer === null ? [] : ['issuer']),
    ...(audience === null ? [] : ['audience']),
    ...(allowCorsPreflight ? [] : ['a token in preflights']),
  ];
}
