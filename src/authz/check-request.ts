/** Defines the request that a check decides, and the headers that it reads. */

/** Header values by lower-case name: the raw bytes of each occurrence. */
export interface HeaderValues {
  get(name: string): readonly Buffer[] | undefined;
}

/** Independent of the wire format. A field that Envoy did not send is `''`, or empty. */
export interface CheckRequest {
  readonly method: string;
  /** As the client sent it: not decoded, with its query. */
  readonly path: string;
  readonly host: string;
  /** Those that policies read; another may be missing. */
  readonly headers: HeaderValues;
  /** The RESULT_HEADER_ALIASES in the request, in lower case. */
  readonly resultHeaderAliases: ReadonlySet<string>;
  /** `context_extensions["approov_policy"]` of Envoy's per-route configuration. */
  readonly policyName: string | undefined;
  /** Of the peer of the connection, which may be a proxy; for the log. */
  readonly sourceAddress: string;
  /** `http.id`: Envoy's random id of the request, the same on its own retries, which clients cannot set. */
  readonly requestId: string;
  /** As much as Envoy sent of it. */
  readonly body: Buffer;
  /** As `headers`, with every header: an app may sign any. Takes a pass over the message. */
  allHeaders(): ReadonlyMap<string, readonly Buffer[]>;
}

/** The headers read under every policy; each policy adds its token header and its bound headers. */
export const HEADERS_READ = {
  approovStatus: 'approov-status',
  approovTraceId: 'approov-traceid',
  origin: 'origin',
  accessControlRequestMethod: 'access-control-request-method',
  requestId: 'x-request-id',
  userAgent: 'user-agent',
  externalAddress: 'x-envoy-external-address',
} as const;

const NO_VALUES: readonly Buffer[] = [];

/** Each occurrence of a header; none if it is absent. */
export function headerValues(request: CheckRequest, name: string): readonly Buffer[] {
  return request.headers.get(name) ?? NO_VALUES;
}
