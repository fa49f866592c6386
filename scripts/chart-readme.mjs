/** Writes the table of values in the chart's README from values.yaml and its comments. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isMap, isScalar, parseDocument } from 'yaml';

const CHART = new URL('../deploy/helm/approov-ext-authz/', import.meta.url);
export const VALUES_FILE = fileURLToPath(new URL('values.yaml', CHART));
export const README_FILE = fileURLToPath(new URL('README.md', CHART));

const BEGIN = '<!-- The table is written by scripts/chart-readme.mjs. -->\n';
const END = '<!-- End of the table. -->\n';

/**
 * Returns the README with a new table of values.
 * @param {string} readme
 * @param {string} values values.yaml
 * @returns {string}
 */
export function withValuesTable(readme, values) {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin === -1 || end < begin) throw new Error('README.md lacks the markers around the table of values');
  return `${readme.slice(0, begin + BEGIN.length)}${valuesTable(values)}${readme.slice(end)}`;
}

/** @param {string} values */
function valuesTable(values) {
  const { contents } = parseDocument(values);
  const rows = tableRows(contents, '').map(
    ([path, value, about]) => `| \`${path}\` | \`${value}\` | ${about} |\n`,
  );
  return `| Value | Default | Description |\n| --- | --- | --- |\n${rows.join('')}`;
}

/**
 * @param {unknown} node
 * @param {string} parent the path of the mapping, with a trailing dot
 * @returns {[path: string, value: string, about: string][]}
 */
function tableRows(node, parent) {
  if (!isMap(node)) throw new Error(`${parent} is not a mapping`);
  return node.items.flatMap(({ key, value }, index) => {
    if (!isScalar(key)) throw new Error(`${parent} has a key that is not a string`);
    // The parser attaches the comment of a nested mapping's first key to the mapping.
    const comment = key.commentBefore ?? (index === 0 ? node.commentBefore : undefined);
    // A comment above a blank line is about the file.
    const ownLines = (comment ?? '').split(/\n\s*\n/).at(-1) ?? '';
    const about = ownLines
      .trim()
      .replace(/\s*\n\s*/g, ' ')
      .replaceAll('|', '\\|');
    const path = `${parent}${key.value}`;
    if (isMap(value) && value.items.length > 0) {
      const rows = tableRows(value, `${path}.`);
      return about === '' ? rows : [[path, '{…}', about], ...rows];
    }
    const json = JSON.stringify(/** @type {import('yaml').Node} */ (value).toJSON());
    return [[path, json, about]];
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const readme = readFileSync(README_FILE, 'utf8');
  writeFileSync(README_FILE, withValuesTable(readme, readFileSync(VALUES_FILE, 'utf8')));
}
