/** Owns what the decision knows of a request, and the closed list of header names that it may look at. */

/** A request that Envoy asks about, wire format forgotten; a field that Envoy did not send is `''`. */
export interface CheckRequest {
  readonly method: string;
  /** As the client sent it: undecoded, with its query. */
  readonly path: string;
  readonly host: string;
  /** Each occurrence of each header, by lower-case name: the bytes as received. */
  readonly headers: ReadonlyMap<string, readonly Buffer[]>;
  /** The names in the request, in lower case, that some servers take for one of our own: RESULT_HEADER_ALIASES. */
  readonly resultHeaderAliases: ReadonlySet<string>;
  /** `context_extensions["approov_policy"]` of Envoy's per-route configuration. */
  readonly policyName: string | undefined;
  /** Address of the connection's peer, which may be a proxy: for the log. */
  readonly sourceAddress: string;
}

/** The headers read under every policy; each policy adds its token header and its bound headers. */
export const HEADERS_READ = {
  approovStatus: 'approov-status',
  origin: 'origin',
  accessControlRequestMethod: 'access-control-request-method',
  requestId: 'x-request-id',
  userAgent: 'user-agent',
  externalAddress: 'x-envoy-external-address',
} as const;

/** Each occurrence of a header; none if it is absent. */
export function headerValues(request: CheckRequest, name: string): readonly Buffer[] {
  return request.headers.get(name) ?? [];
}
