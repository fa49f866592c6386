/** Parses durations on the command line, and formats them for people. */

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Parses `90`, `90s`, `5m`, `1h` or `7d`, also negative, to seconds; `undefined` for anything else. */
export function parseDurationSeconds(text: string): number | undefined {
  const match = /^(-?\d+(?:\.\d+)?)([smhd]?)$/.exec(text);
  const seconds = Number(match?.[1]) * (SECONDS[match?.[2] || 's'] ?? 1);
  return Number.isFinite(seconds) ? seconds : undefined;
}

const UNITS = [
  { name: 'd', seconds: 86_400 },
  { name: 'h', seconds: 3600 },
  { name: 'min', seconds: 60 },
  { name: 's', seconds: 1 },
] as const;

/** In its two largest units: `2 h 0 min`. Under a minute with one decimal at most: `4.5 s`; `0 s` if it is negative. */
export function formatDuration(seconds: number): string {
  const index = UNITS.findIndex((unit) => seconds >= unit.seconds);
  const [unit, next] = index === -1 ? [] : UNITS.slice(index);
  if (unit === undefined || next === undefined) return `${Math.round(Math.max(0, seconds) * 10) / 10} s`;
  const whole = Math.floor(seconds / unit.seconds);
  return `${whole} ${unit.name} ${Math.floor((seconds % unit.seconds) / next.seconds)} ${next.name}`;
}
