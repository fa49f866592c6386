/** Writes numbers and durations for people. */

export function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${Math.round(count) === 1 ? one : many}`;
}

/** `12 of 3,400 checks (0.35 %)`: with the numbers, as a rounded share may equal the threshold that it misses. */
export function formatPart(part: number, total: number, noun: string): string {
  return `${formatCount(part)} of ${plural(total, noun)} (${formatShare(part, total)})`;
}

/** 0 % and 100 % are exact. */
export function formatShare(part: number, total: number): string {
  if (total === 0) return '–';
  if (part === 0) return '0 %';
  if (part >= total) return '100 %';
  const percent = (100 * part) / total;
  if (percent < 0.01) return '< 0.01 %';
  if (percent > 99.99) return '> 99.99 %';
  return formatPercent(percent < 1 || percent > 99 ? round(percent, 2) : round(percent, 1));
}

/** As configured. */
export function formatPercent(percent: number): string {
  return `${percent} %`;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** For periods that are configured in hours: `24 h`, `3 h 12 min`, `40 min` or `12 s`. */
export function formatHours(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const rest = minutes % 60;
  return `${Math.floor(minutes / 60)} h${rest === 0 ? '' : ` ${rest} min`}`;
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
