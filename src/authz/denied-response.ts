/** Defines the response to a denied request. */

export interface DeniedResponse {
  readonly status: number;
  readonly body: string;
  readonly contentType: string;
  /** Whether the client gets `x-approov-reason`. */
  readonly exposeReason: boolean;
  /** Further headers, by lower-case name; never one that this service or HTTP itself sets. */
  readonly headers: Readonly<Record<string, string>>;
}
