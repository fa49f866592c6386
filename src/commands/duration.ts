/** Parses durations on the command line. */

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Parses `90`, `90s`, `5m`, `1h` or `7d`, also negative, to seconds; `undefined` for anything else. */
export function parseDurationSeconds(text: string): number | undefined {
  const match = /^(-?\d+(?:\.\d+)?)([smhd]?)$/.exec(text);
  const seconds = Number(match?.[1]) * (SECONDS[match?.[2] || 's'] ?? 1);
  return Number.isFinite(seconds) ? seconds : undefined;
}
