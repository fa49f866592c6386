/** Reads the parameters of a query as components of a signature base (RFC 9421 §2.2.8). */

/** Each is decoded and encoded again, and a client chooses how many there are. */
const MAX_QUERY_LENGTH = 4096;

/** Decoded values by encoded name; `null` for a name that occurs more than once, which cannot be signed. */
export type QueryParameters = ReadonlyMap<string, string | null>;

/** Of a query that is too long, none. */
export function parseQueryParameters(query = ''): QueryParameters {
  const parameters = new Map<string, string | null>();
  if (query.length > MAX_QUERY_LENGTH) return parameters;
  for (const [name, value] of new URLSearchParams(`?${query}`)) {
    const key = encodeFormComponent(name);
    parameters.set(key, parameters.has(key) ? null : value);
  }
  return parameters;
}

/** @param name encoded, as RFC 9421 writes it, or decoded, as some SDKs write it; with a `%` it is encoded. */
export function parameterValue(
  parameters: QueryParameters,
  name: string,
  isDecoded: boolean,
): string | undefined {
  const value = parameters.get(name.includes('%') ? name : encodeFormComponent(name));
  if (typeof value !== 'string') return undefined;
  if (!isDecoded) return encodeFormComponent(value);
  // Or `a%2520b` decoded would read like `a b` encoded.
  return value.includes('%') ? undefined : value;
}

/** The application/x-www-form-urlencoded percent-encode set of the URL standard. */
function encodeFormComponent(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
