/** Owns durations as people write them on a command line. */

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Reads `90`, `90s`, `5m`, `1h` or `7d`, also negative, into seconds; `undefined` for anything else. */
export function parseDurationSeconds(text: string): number | undefined {
  const match = /^(-?\d+(?:\.\d+)?)([smhd]?)$/.exec(text);
  const seconds = Number(match?.[1]) * (SECONDS[match?.[2] || 's'] ?? 1);
  return Number.isFinite(seconds) ? seconds : undefined;
}
