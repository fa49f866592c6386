/** Writes a run into docs/performance.md, between two marks, and its plot next to it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { panelsOf, plotSvg } from './plot.mjs';
import { machineLines, tablesOf } from './report.mjs';
import { markdownTable } from './table.mjs';

export const PAGE = fileURLToPath(new URL('../docs/performance.md', import.meta.url));
const PLOT = fileURLToPath(new URL('../docs/performance.svg', import.meta.url));
const START = '<!-- run: npm run bench -- --write-docs -->';
const END = '<!-- end of run -->';

/** @typedef {import('./run.mjs').Run} Run */

/** @param {Run} run @param {readonly string[]} args of the command line, which the page repeats */
export function writePage(run, args) {
  writeFileSync(PAGE, withRun(readFileSync(PAGE, 'utf8'), run, args));
  writeFileSync(PLOT, plotSvg(panelsOf(run.results)));
}

/**
 * The page with the run between its marks.
 * @param {string} page
 * @param {Run} run
 * @param {readonly string[]} args
 */
export function withRun(page, run, args) {
  const [start, end] = [page.indexOf(START), page.indexOf(END)];
  if (start < 0 || end < start) throw new RangeError('docs/performance.md lacks the marks around the run');
  return `${page.slice(0, start)}${START}\n\n${runSections(run, args).join('\n\n')}\n\n${page.slice(end)}`;
}

/** @param {Run} run @param {readonly string[]} args */
function runSections(run, args) {
  const { date, pace, results } = run;
  return [
    `The run of ${date}, by \`npm run bench -- ${args.join(' ')}\`, in ${pace.rounds} rounds of ${pace.sliceSeconds} s, with ${pace.instances} instances of each server:`,
    machineLines(run)
      .map((line) => `- ${line}`)
      .join('\n'),
    '![CPU per check of each server](performance.svg)',
    ...tablesOf(pace, results).flatMap((table) => [`### ${table.title}`, markdownTable(table)]),
  ];
}
