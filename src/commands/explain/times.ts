/** Writes times for people. */

/** The last second that a JavaScript `Date` can represent. */
const MAX_DATE_SECONDS = 8.64e12;

/** In UTC, as RFC 3339 has it, to the second; the number itself where no date can represent it. */
export function isoTime(seconds: number): string {
  if (!(Math.abs(seconds) <= MAX_DATE_SECONDS)) return `${seconds} seconds since 1970`;
  return new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
}
