/** Normalises the host of a request and matches it against those of routes and keys. */

/** RFC 1035 §2.3.4. A longer name is not a host, and is not scanned. */
const MAX_NAME_LENGTH = 255;
const MAX_HOST_LENGTH = MAX_NAME_LENGTH + '.:65535'.length;

/** True of most hosts: nothing to normalise. */
const NORMALIZED_NAME = /^(?:[a-z0-9_-]+\.)*[a-z0-9_-]+$/;
/** Labels of letters, digits, `-` and `_`, none of them empty. */
const NAME = /^(?:[A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+\.?(?::\d{0,5})?$/;
const IP_LITERAL = /^\[[0-9A-Fa-f:.]+\](?::\d{0,5})?$/;

/** The normalised host; `undefined` if absent or not a valid `host[:port]` (RFC 3986 §3.2). */
export function readHost(host: string): string | undefined {
  if (host.length > MAX_HOST_LENGTH) return undefined;
  const normalized = NORMALIZED_NAME.test(host) ? host : isHost(host) ? normalizeHost(host) : undefined;
  return normalized !== undefined && normalized.length <= MAX_NAME_LENGTH ? normalized : undefined;
}

function isHost(text: string): boolean {
  return NAME.test(text) || (IP_LITERAL.test(text) && URL.canParse(`http://${text}`));
}

/**
 * Lower case, without port and without one trailing dot.
 * @param host ASCII only: `toLowerCase` turns the Kelvin sign into `k`.
 */
export function normalizeHost(host: string): string {
  return host.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
}

/**
 * Whether a normalised host is the pattern, or below `*.example.com` at any depth.
 * @param pattern normalised too.
 */
export function matchesHost(pattern: string, host: string): boolean {
  if (!pattern.startsWith('*.')) return host === pattern;
  const suffix = pattern.slice(1);
  return host.endsWith(suffix) && host.length > suffix.length;
}
