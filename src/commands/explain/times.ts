/** Writes times and durations for people. */

/** The last second that a JavaScript `Date` can represent. */
const MAX_DATE_SECONDS = 8.64e12;

/** In UTC, as RFC 3339 has it, to the second; the number itself where no date can represent it. */
export function isoTime(seconds: number): string {
  if (!(Math.abs(seconds) <= MAX_DATE_SECONDS)) return `${seconds} seconds since 1970`;
  return new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
}

const UNITS = [
  { name: 'd', seconds: 86_400 },
  { name: 'h', seconds: 3600 },
  { name: 'min', seconds: 60 },
  { name: 's', seconds: 1 },
] as const;

/** In its two largest units: `2 h 0 min`. Under a minute with one decimal at most: `4.5 s`. */
export function durationText(seconds: number): string {
  const index = UNITS.findIndex((unit) => seconds >= unit.seconds);
  const [unit, next] = index === -1 ? [] : UNITS.slice(index);
  if (unit === undefined || next === undefined) return `${Math.round(seconds * 10) / 10} s`;
  const whole = Math.floor(seconds / unit.seconds);
  return `${whole} ${unit.name} ${Math.floor((seconds % unit.seconds) / next.seconds)} ${next.name}`;
}
