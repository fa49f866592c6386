/** Formats tables for a terminal. */
import { stripVTControlCharacters } from 'node:util';

/**
 * Columns as wide as their widest cell, two spaces apart, indented by two.
 * @param headings one that begins with `>` aligns its column to the right.
 */
export function formatTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const names = headings.map((heading) => heading.replace(/^>/, ''));
  const all = [names, ...rows];
  const widths = names.map((_, column) => Math.max(...all.map((row) => widthOf(row[column]))));
  return all.map((row) =>
    row
      .map((cell, column) => {
        const padding = ' '.repeat((widths[column] ?? 0) - widthOf(cell));
        return `  ${headings[column]?.startsWith('>') ? padding + cell : cell + padding}`;
      })
      .join('')
      .trimEnd(),
  );
}

/** Colours take no room. */
function widthOf(cell = ''): number {
  return stripVTControlCharacters(cell).length;
}
