/** Selects the policies that apply to a request, by what Envoy named, by routes, or by default. */
import type { CheckRequest } from './check-request.ts';
import type { DeniedResponse } from './denied-response.ts';
import { matchesHost, readHost } from './host.ts';
import type { MessageSignaturePolicy } from './message-signature.ts';
import {
  isPlainPath,
  matchesPrefix,
  type PathReadings,
  pathOf,
  READINGS,
  type Reading,
  readPath,
} from './path.ts';
import type { Mode } from './verdict.ts';

/** The claims that a policy may forward upstream as `x-approov-<claim>`. */
export const FORWARDABLE_CLAIMS = ['did', 'ip', 'arc', 'iss', 'aud', 'sub'] as const;
export type ForwardableClaim = (typeof FORWARDABLE_CLAIMS)[number];

/** Each field as in the configuration. */
export interface Policy {
  readonly name: string;
  readonly mode: Mode;
  /** Under mode `enforce`, the share of devices that it applies to; the others are observed. `undefined`: all. */
  readonly enforcePercent?: number | undefined;
  /** Lower case. */
  readonly tokenHeader: string;
  /** Lower case; matched ignoring case. */
  readonly tokenPrefix: string;
  /** `null`: binding is not checked. */
  readonly binding: { readonly headers: readonly string[]; readonly when: 'if-present' | 'required' } | null;
  /** `null`: any issuer. */
  readonly issuer: readonly string[] | null;
  /** `null`: any audience; `host`: the request's own host. */
  readonly audience: readonly string[] | 'host' | null;
  readonly clockToleranceSeconds: number;
  readonly allowCorsPreflight: boolean;
  readonly forwardToken: boolean;
  readonly forwardClaims: readonly ForwardableClaim[];
  /** `null`: message signatures are not checked. */
  readonly messageSignature: MessageSignaturePolicy | null;
  /** `undefined`: the response configured for all policies. */
  readonly denied?: DeniedResponse | undefined;
}

/** Applies a policy to matching requests; a field that is `undefined` matches all. */
export interface Route {
  /** Exact, or `*.example.com` for any depth below. Normalised. */
  readonly host: string | undefined;
  /** Plain. Matched on segment boundaries; without trailing slash, so `''` matches every path. */
  readonly pathPrefix: string | undefined;
  readonly methods: readonly string[] | undefined;
  readonly policy: Policy;
}

/** A route with its prefix already read in each way. */
interface PreparedRoute extends Route {
  readonly prefix: PathReadings;
}

export interface PolicyTable {
  readonly policies: ReadonlyMap<string, Policy>;
  readonly defaultPolicy: Policy;
  readonly routes: readonly PreparedRoute[];
  /** How many characters of a path the prefixes are compared with. */
  readonly comparedLength: number;
  /** The readings in which some prefix differs from the prefix as written. */
  readonly prefixReadings: ReadonlySet<Reading>;
}

export function createPolicyTable(
  policies: ReadonlyMap<string, Policy>,
  defaultPolicy: Policy,
  routes: readonly Route[],
): PolicyTable {
  const prepared = routes.map((route) => {
    const { pathPrefix = '' } = route;
    return { ...route, prefix: readPath(pathPrefix, pathPrefix.length) };
  });
  return {
    policies,
    defaultPolicy,
    routes: prepared,
    // One more than the longest prefix: a slash or the end must follow it.
    comparedLength: 1 + Math.max(0, ...prepared.map(({ prefix }) => prefix.sent.length)),
    prefixReadings: new Set(
      READINGS.filter((reading) => prepared.some(({ prefix }) => prefix[reading] !== prefix.sent)),
    ),
  };
}

/** The part of a request that upstreams may read in different ways; `path` if both are ambiguous. */
export const AMBIGUITIES = ['path', 'host'] as const;
export type Ambiguity = (typeof AMBIGUITIES)[number];

export interface PolicyChoice {
  /**
   * The strictest outcome of these counts. Usually one; several for an ambiguous request, none if Envoy named a policy
   * that is not configured.
   */
  readonly policies: readonly Policy[];
  readonly ambiguous: Ambiguity | undefined;
  /** Normalised; `undefined` if absent or invalid. */
  readonly host: string | undefined;
}

/** What of a request chooses its policy. */
type PolicyTarget = Pick<CheckRequest, 'method' | 'path' | 'host' | 'policyName'>;

export function choosePolicies(request: PolicyTarget, table: PolicyTable): PolicyChoice {
  const host = readHost(request.host);
  const path = pathOf(request.path);
  const isPlain = isPlainPath(path);
  const ambiguous = !isPlain ? 'path' : host === undefined ? 'host' : undefined;
  return { policies: policiesFor(request, table, host, isPlain ? path : undefined), ambiguous, host };
}

/** @param path `undefined` if ambiguous. */
function policiesFor(
  request: PolicyTarget,
  table: PolicyTable,
  host: string | undefined,
  path: string | undefined,
): readonly Policy[] {
  const { policyName, method } = request;
  const named = policyName === undefined ? undefined : table.policies.get(policyName);
  if (policyName !== undefined && named === undefined) return [];
  const isPlain = host !== undefined && path !== undefined;
  if (isPlain && named !== undefined) return [named];
  if (isPlain && table.routes.length === 0) return [table.defaultPolicy];

  const readings = path === undefined ? undefined : readingsOf(path, table);
  const policies = new Set<Policy>();
  if (named !== undefined) policies.add(named);
  if (readings === undefined) {
    policies.add(table.defaultPolicy);
    for (const route of table.routes) {
      if (hasHost(route, host) && hasMethod(route, method)) policies.add(route.policy);
    }
  } else if (named === undefined) {
    for (const reading of readings) {
      const isMatch = (route: PreparedRoute): boolean =>
        hasHost(route, host) && hasMethod(route, method) && hasPath(route, reading);
      policies.add(table.routes.find(isMatch)?.policy ?? table.defaultPolicy);
    }
  }
  if (host === undefined) {
    // The upstream may read it as any of the hosts that routes name.
    for (const route of table.routes) {
      const isReached = readings?.some((reading) => hasPath(route, reading)) ?? true;
      if (route.host !== undefined && isReached && hasMethod(route, method)) policies.add(route.policy);
    }
  }
  return [...policies];
}

function hasHost(route: Route, host: string | undefined): boolean {
  return route.host === undefined || (host !== undefined && matchesHost(route.host, host));
}

function hasMethod(route: Route, method: string): boolean {
  return route.methods?.includes(method) ?? true;
}

interface PathReading {
  readonly reading: Reading;
  readonly path: string;
}

function hasPath(route: PreparedRoute, { reading, path }: PathReading): boolean {
  return matchesPrefix(route.prefix[reading], path);
}

/** The path as sent, and each reading in which it or a prefix differs: the others would select the same route. */
function readingsOf(path: string, table: PolicyTable): readonly PathReading[] {
  const { comparedLength, prefixReadings } = table;
  const isAlike = prefixReadings.size === 0 && !READ_DIFFERENTLY.test(path.slice(0, 3 * comparedLength));
  if (isAlike) return [{ reading: 'sent', path }];
  const readings = readPath(path, comparedLength);
  return READINGS.filter(
    (reading) => reading === 'sent' || prefixReadings.has(reading) || readings[reading] !== readings.sent,
  ).map((reading) => ({ reading, path: readings[reading] }));
}

const READ_DIFFERENTLY = /[%A-Z]/;
