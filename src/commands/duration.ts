/** Parses durations on the command line, and formats them for people. */

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Parses `90`, `90s`, `5m`, `1h` or `7d`, also negative, to seconds; `undefined` for anything else. */
export function parseDurationSeconds(text: string): number | undefined {
  const match = /^(-?\d+(?:\.\d+)?)([smhd]?)$/.exec(text);
  const seconds = Number(match?.[1]) * (SECONDS[match?.[2] || 's'] ?? 1);
  return Number.isFinite(seconds) ? seconds : undefined;
}

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
] as const;

/** At most two units, the rest cut off: `3 d 4 h`, `12 min 5 s`, `0 s`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.trunc(seconds));
  const first = UNITS.findIndex(([, unit]) => whole >= unit);
  const parts = UNITS.slice(first, first + 2).map(([name, unit], index) => {
    const rest = index === 0 ? whole : whole % (UNITS[first]?.[1] ?? 1);
    return { name, count: Math.floor(rest / unit) };
  });
  const shown = parts.filter(({ count }) => count > 0).map(({ name, count }) => `${count} ${name}`);
  return shown.length === 0 ? '0 s' : shown.join(' ');
}
