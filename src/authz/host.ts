/** Owns how hosts are compared: by routes, by keys that serve some hosts only, and by audiences. */

/** A host as it is compared: lower case, without port and without one trailing dot. */
export function normalizeHost(host: string): string {
  return host.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
}

/**
 * Whether a normalised host is the one named, or below `*.example.com` at any depth.
 * @param pattern normalised as well.
 */
export function matchesHost(pattern: string, host: string): boolean {
  if (!pattern.startsWith('*.')) return host === pattern;
  const suffix = pattern.slice(1);
  return host.endsWith(suffix) && host.length > suffix.length;
}
