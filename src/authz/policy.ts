/** Owns policies and routes, and which of them judge a request. */
import type { CheckRequest } from './check-request.ts';
import type { DeniedResponse } from './denied-response.ts';
import { matchesHost, normalizeHost } from './host.ts';
import type { Mode } from './verdict.ts';

/** The claims that a policy may forward upstream as `x-approov-<claim>`. */
export const FORWARDABLE_CLAIMS = ['did', 'ip', 'arc', 'iss', 'aud', 'sub'] as const;
export type ForwardableClaim = (typeof FORWARDABLE_CLAIMS)[number];

/** How requests are judged; each field as in the configuration. */
export interface Policy {
  readonly name: string;
  readonly mode: Mode;
  /** Lower case. */
  readonly tokenHeader: string;
  /** Lower case: it is matched ignoring case. */
  readonly tokenPrefix: string;
  /** `null`: tokens are not bound to anything. */
  readonly binding: { readonly headers: readonly string[]; readonly when: 'if-present' | 'required' } | null;
  /** `null`: any issuer. */
  readonly issuer: readonly string[] | null;
  /** `null`: any audience; `host`: the request's own host. */
  readonly audience: readonly string[] | 'host' | null;
  readonly clockToleranceSeconds: number;
  readonly allowCorsPreflight: boolean;
  readonly forwardToken: boolean;
  readonly forwardClaims: readonly ForwardableClaim[];
  /** Its own refusal, complete; without one, the refusal for all. */
  readonly denied?: DeniedResponse | undefined;
}

/** Sends matching requests to a policy; a field that is `undefined` matches all. */
export interface Route {
  /** Exact, or `*.example.com` for any depth below. Normalised. */
  readonly host: string | undefined;
  /** Matched on segment boundaries; without trailing slash, so `''` matches every path. */
  readonly pathPrefix: string | undefined;
  readonly methods: readonly string[] | undefined;
  readonly policy: Policy;
}

export interface PolicyTable {
  readonly policies: ReadonlyMap<string, Policy>;
  readonly defaultPolicy: Policy;
  readonly routes: readonly Route[];
}

/**
 * The policies that judge a request: one as a rule, several for an odd path, where the strictest outcome
 * counts; none if Envoy named a policy that is not configured.
 */
export function choosePolicies(request: CheckRequest, table: PolicyTable): readonly Policy[] {
  if (request.policyName !== undefined) {
    const named = table.policies.get(request.policyName);
    return named === undefined ? [] : [named];
  }
  if (table.routes.length === 0) return [table.defaultPolicy];
  const host = normalizeHost(request.host);
  const path = pathWithoutQuery(request.path);
  const reachable = table.routes.filter(
    (route) =>
      (route.host === undefined || matchesHost(route.host, host)) &&
      (route.methods?.includes(request.method) ?? true),
  );
  if (isOddPath(path)) return [...new Set([table.defaultPolicy, ...reachable.map((route) => route.policy)])];
  const choose = (read: (text: string) => string): Policy =>
    reachable.find(({ pathPrefix = '' }) => matchesPath(read(pathPrefix), read(path)))?.policy ??
    table.defaultPolicy;
  // As sent and decoded: an upstream may take `/%40a` for `/@a`, or may not.
  const isEncoded = ENCODED.test(path) || reachable.some(({ pathPrefix = '' }) => ENCODED.test(pathPrefix));
  return isEncoded ? [...new Set([choose(asSent), choose(decode)])] : [choose(asSent)];
}

/**
 * Whether upstreams may read a path in different ways (dot segments, fragments, path parameters, needless
 * or double encoding: the bypasses of CVE-2021-32779 and its kin), so that its prefix proves nothing.
 * @param path without its query.
 */
export function isOddPath(path: string): boolean {
  return ODD_CHARACTERS.test(path) || DOT_SEGMENT.test(path) || NEEDLESS_ENCODING.test(path);
}

/** The last stands for bytes that were no UTF-8: nobody knows what an upstream makes of them. */
const ODD_CHARACTERS = /[#\\;]|\/\/|\ufffd/;
const DOT_SEGMENT = /(?:^|\/)\.{1,2}(?:\/|$)/;
/** A percent-encoded `/ \ . % ; ? #` or an unreserved character of RFC 3986 §2.3. */
const NEEDLESS_ENCODING = /%(?:2[35D-F]|3[0-9BF]|4[1-9A-F]|5[0-9ACF]|6[1-9A-F]|7[0-9AE])/i;

function pathWithoutQuery(path: string): string {
  const query = path.indexOf('?');
  return query === -1 ? path : path.slice(0, query);
}

/** Not ASCII, and so to be encoded by whoever sends it on, or encoded already. */
const ENCODED = /[%\u0080-\uffff]/;

const asSent = (text: string): string => text;

/** To bytes, each as a character, which is enough to compare by. */
function decode(text: string): string {
  return Buffer.from(text)
    .toString('latin1')
    .replace(/%[0-9A-F]{2}/gi, (code) => String.fromCharCode(Number.parseInt(code.slice(1), 16)));
}

function matchesPath(prefix: string, path: string): boolean {
  if (prefix === '') return true;
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');
}
