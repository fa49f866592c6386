/** Lays out tables, for a terminal and in Markdown. */

/**
 * @typedef {object} Table
 * @property {string} title
 * @property {readonly string[]} columns
 * @property {readonly (readonly string[])[]} rows
 */

/**
 * The first column is words, the others are numbers.
 * @param {Table} table
 */
export function textTable({ title, columns, rows }) {
  const widths = columns.map((_, column) =>
    Math.max(...[columns, ...rows].map((row) => row[column]?.length ?? 0)),
  );
  const line = (/** @type {readonly string[]} */ row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return [title, ...[columns, ...rows].map((row) => `  ${line(row)}`)].join('\n');
}

/** @param {Table} table */
export function markdownTable({ columns, rows }) {
  const line = (/** @type {readonly string[]} */ cells) => `| ${cells.join(' | ')} |`;
  const rule = columns.map((_, column) => (column === 0 ? '---' : '---:'));
  return [line(columns), line(rule), ...rows.map(line)].join('\n');
}

/**
 * Three significant digits, as in 0.123, 1.23, 12.3, 123 and 1,234.
 * @param {number} value
 */
export function short(value) {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US');
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 2));
}

/**
 * Such as `1.23 (1.10–1.41)`.
 * @param {import('./statistics.mjs').Summary} summary
 */
export function withRange({ median, min, max }) {
  return Number.isFinite(median) ? `${short(median)} (${short(min)}–${short(max)})` : '–';
}
