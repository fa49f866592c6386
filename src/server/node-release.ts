/** Warns about Node releases that have reached end of life. */

/** Supported until April 2028. */
const RECOMMENDED = 24;

/** From the Node.js release schedule, https://github.com/nodejs/Release. */
const END_OF_LIFE: Readonly<Record<number, string>> = {
  20: '2026-04-30',
  21: '2024-06-01',
  22: '2027-04-30',
  23: '2025-06-01',
  25: '2026-06-01',
};

/** @param version as in `process.versions.node`. */
export function endOfLifeWarning(version: string, now: Date): string | undefined {
  const major = Number.parseInt(version, 10);
  const date = END_OF_LIFE[major];
  if (date === undefined || now < new Date(date)) return undefined;
  return `Node ${major} reached end of life in ${monthOf(date)}; use ${RECOMMENDED}`;
}

function monthOf(date: string): string {
  return new Date(date).toLocaleDateString('en-US', { month: 'long', year: 'numeric', timeZone: 'UTC' });
}
