/** Compares the ids of requests (`http.id`), which distinguish a retry from a replay. */

/** Envoy's have at most 20 digits. A longer one, which would take memory, counts as none. */
const MAX_LENGTH = 64;

/** What to record of a request. */
export function recordedId(requestId: string): string {
  return requestId.length > MAX_LENGTH ? '' : requestId;
}

/** A request without an id is not the same as any other. */
export function isSameRequest(recorded: string, requestId: string): boolean {
  return recorded !== '' && recorded === requestId;
}
