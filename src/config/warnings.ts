/** Finds likely mistakes in a valid configuration. */
import { modeAt } from '../authz/enforced-share.ts';
import { matchesHost } from '../authz/host.ts';
import { matchesPrefix } from '../authz/path.ts';
import type { Policy, PolicyTable, Route } from '../authz/policy.ts';
import { MODES } from '../authz/verdict.ts';
import type { Config, Problem } from './config.ts';
import { messageSignatureWarnings, signatureRequirements } from './message-signature-warnings.ts';
import type { Settings } from './schema.ts';

export function findWarnings(config: Config): readonly Problem[] {
  return [
    ...laxDefaultWarnings(config.policyTable),
    ...coveredRouteWarnings(config.policyTable),
    ...patternWarnings(config.settings),
    ...portWarnings(config),
    ...shareWarnings(config),
    ...messageSignatureWarnings(config),
  ];
}

function laxDefaultWarnings({ defaultPolicy, routes }: PolicyTable): Problem[] {
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

/** The first match wins, so a route that an earlier one covers never matches. */
function coveredRouteWarnings({ routes }: PolicyTable): Problem[] {
  return routes.flatMap((route, index) => {
    const first = routes.findIndex((earlier) => covers(earlier, route));
    const winner = routes[first];
    if (winner === undefined || first >= index || !isStricterPolicy(route.policy, winner.policy)) return [];
    const message =
      `never matches, because routes[${first}] matches all of its requests first, and its policy ` +
      `${winner.policy.name} is weaker than ${route.policy.name}; put the more specific route first`;
    return [{ path: `routes[${index}]`, message }];
  });
}

/** Whether every request that matches `route` also matches `earlier`. */
function covers(earlier: Route, route: Route): boolean {
  const { host, pathPrefix = '', methods } = earlier;
  return (
    (host === undefined || (route.host !== undefined && coversHost(host, route.host))) &&
    matchesPrefix(pathPrefix, route.pathPrefix ?? '') &&
    (methods === undefined || route.methods?.every((method) => methods.includes(method)) === true)
  );
}

function coversHost(pattern: string, host: string): boolean {
  return pattern === host || matchesHost(pattern, host);
}

/** What routers and regular expressions expand; RFC 3986 allows some of it in a path, so it is not an error. */
const PATTERN = /\/:[A-Za-z_]|[[\]|]|\.\+|\(\.|\)\+|\$$/;

function patternWarnings({ routes }: Settings): Problem[] {
  const message = 'looks like a template or a pattern: it is compared literally; give the part before it';
  return routes.flatMap(({ pathPrefix = '' }, index) =>
    PATTERN.test(pathPrefix) ? [{ path: `routes[${index}].pathPrefix`, message }] : [],
  );
}

function portWarnings({ settings, keys }: Config): Problem[] {
  const hosts = [
    ...settings.routes.map(({ host = '' }, index) => ({ path: `routes[${index}].host`, host })),
    ...keys.flatMap((key, index) =>
      (key.hosts ?? []).map((host, at) => ({ path: `keys[${index}].hosts[${at}]`, host })),
    ),
  ];
  const message = 'the port is ignored: the host matches with every port';
  return hosts.flatMap(({ path, host }) => (/:\d+$/.test(host) ? [{ path, message }] : []));
}

/** Not errors: in an incident, changing the mode back must be enough. */
function shareWarnings({ policyTable, settings }: Config): Problem[] {
  return Object.entries(settings.policies).flatMap(([name, { enforcePercent }]) => {
    const mode = policyTable.policies.get(name)?.mode;
    const path = `policies.${name}.enforcePercent`;
    if (mode !== 'enforce' && enforcePercent !== undefined)
      return [{ path, message: `has no effect in mode ${mode}` }];
    return enforcePercent === 0
      ? [{ path, message: 'no device is enforced: write mode: observe, or a share above 0' }]
      : [];
  });
}

/** Whether some request gets a stricter action under `policy` than under `than`. */
function isStricterPolicy(policy: Policy, than: Policy): boolean {
  const others = requirementsOf(than);
  const requiresMore = requirementsOf(policy).some((requirement) => !others.includes(requirement));
  // Modes change at the ends of the two shares only.
  const places = [0, ...[policy, than].map(({ enforcePercent = 100 }) => enforcePercent / 100)];
  return places
    .filter((place) => place < 1)
    .some((place) => {
      const [mode = 0, other = 0] = [policy, than].map((each) => MODES.indexOf(modeAt(each, place)));
      return mode > other || (requiresMore && mode >= MODES.indexOf('limit'));
    });
}

/** What a policy requires beyond a valid signature and an `exp` in the future. */
function requirementsOf({
  binding,
  issuer,
  audience,
  allowCorsPreflight,
  messageSignature,
}: Policy): readonly string[] {
  return [
    ...signatureRequirements(messageSignature),
    ...(binding === null ? [] : ['binding']),
    ...(binding?.when === 'required' ? ['required binding'] : []),
    ...(issuer === null ? [] : ['issuer']),
    ...(audience === null ? [] : ['audience']),
    ...(allowCorsPreflight ? [] : ['a token in preflights']),
  ];
}
