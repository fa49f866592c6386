/** Tests that each row of docs/threat-model.md names files that exist, or says that no test shows it. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readPage, sectionsOf, tableRows } from '../support/markdown.ts';

const SECTIONS = sectionsOf(readPage('docs/threat-model.md'));

test.each([
  ['A client', 'attack'],
  ['A network peer', 'attack'],
  ['A host that the service depends on', 'attack'],
  ['A stolen key', 'key'],
  ['Mistakes of the operator', 'mistake'],
])('each row under “%s” names what shows it', (section, firstColumn) => {
  const rows = tableRows(SECTIONS.get(section) ?? '', firstColumn);
  expect(rows.length).toBeGreaterThan(3);
  const unshown = rows.filter((row) => {
    const shownBy = row.at(-1) ?? '';
    const files = [...shownBy.matchAll(/`((?:test|src)\/[^`]+)`/g)].map(([, file = '']) => file);
    const missing = files.filter(
      (file) => !/\.ts$/.test(file) || !existsSync(fileURLToPath(new URL(`../../${file}`, import.meta.url))),
    );
    expect(missing, row[0]).toEqual([]);
    return files.length === 0 && !/not tested|\]\(\w+\.md\)/.test(shownBy);
  });
  expect(unshown).toEqual([]);
});
