/** Defines the response that a refused client gets. */

export interface DeniedResponse {
  readonly status: number;
  readonly body: string;
  readonly contentType: string;
  /** Whether `x-approov-reason` goes to the client. */
  readonly exposeReason: boolean;
  /** Further headers, by lower-case name: none that this service, HTTP framing or a connection sets. */
  readonly headers: Readonly<Record<string, string>>;
}
