/** Draws the run as an SVG of horizontal bars, readable on a light and on a dark page. */
import { bothMicros, byScenario } from './report.mjs';
import { median, summarize } from './statistics.mjs';
import { short } from './table.mjs';

/** @typedef {import('./rounds.mjs').Series} Series */

/**
 * @typedef {object} Bar
 * @property {string} label
 * @property {readonly number[]} parts one after another, in µs
 * @property {import('./statistics.mjs').Summary} total
 */

/**
 * @typedef {object} Panel
 * @property {string} title
 * @property {readonly string[]} legend of the parts
 * @property {readonly Bar[]} bars
 */

const WIDTH = 900;
const LABEL_WIDTH = 330;
const VALUE_WIDTH = 130;
const ROW = 24;
const BAR = 14;
const TITLE = 44;
const GAP = 20;

/** Colours of the parts, light and dark: each has a contrast of 3 to 1 with its page. */
const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600 }
  .part0 { fill: #0969da }
  .part1 { fill: #bc4c00 }
  .range { stroke: #59636e; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .part0 { fill: #4493f8 }
    .part1 { fill: #f0883e }
    .range { stroke: #9198a1 }
  }`;

/**
 * The panels of a run: CPU per check of each scenario that is measured directly with peers, and through Envoy.
 * @param {import('./run.mjs').Results} results
 * @returns {Panel[]}
 */
export function panelsOf({ direct, envoy }) {
  const panels = [];
  for (const { scenario, rows } of byScenario(direct?.series ?? [])) {
    if (!['hot', 'distinct', 'refused'].includes(scenario.id)) continue;
    panels.push({
      title: `Direct, ${scenario.label}: CPU of the server per check, µs`,
      legend: [],
      bars: rows.map(({ contender: { label }, serverMicros }) => bar(label, [serverMicros], serverMicros)),
    });
  }
  for (const { scenario, rows } of byScenario(envoy?.series ?? [])) {
    if (scenario.id !== 'hot') continue;
    panels.push({
      title: `Through Envoy, ${scenario.label}: CPU per request, µs`,
      legend: ['Envoy', 'server'],
      bars: rows.map((row) => bar(row.contender.label, [row.envoyMicros, row.serverMicros], bothMicros(row))),
    });
  }
  return panels;
}

/** @param {string} label @param {readonly number[][]} parts @param {number[]} totals @returns {Bar} */
function bar(label, parts, totals) {
  return { label, parts: parts.map(median), total: summarize(totals) };
}

/** @param {readonly Panel[]} panels */
export function plotSvg(panels) {
  const shapes = [];
  let y = 0;
  for (const panel of panels) {
    shapes.push(...panelShapes(panel, y));
    y += TITLE + panel.bars.length * ROW + GAP;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}" role="img">`,
    `<title>${escaped(panels.map(({ title }) => title).join('; '))}</title>`,
    `<style>${STYLE}\n</style>`,
    ...shapes,
    '</svg>\n',
  ].join('\n');
}

/**
 * @param {Panel} panel
 * @param {number} top
 */
function panelShapes({ title, legend, bars }, top) {
  const longest = Math.max(...bars.map(({ total }) => total.max));
  const scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / longest;
  const shapes = [text(0, top + 20, title, 'title')];
  for (const [index, name] of legend.entries()) {
    const x = WIDTH - VALUE_WIDTH + index * 65;
    shapes.push(rectangle(x, top + 11, 10, index), text(x + 14, top + 20, name));
  }
  for (const [index, one] of bars.entries()) shapes.push(...barShapes(one, top + TITLE + index * ROW, scale));
  return shapes;
}

/**
 * @param {Bar} bar
 * @param {number} y
 * @param {number} scale pixels per µs
 */
function barShapes({ label, parts, total }, y, scale) {
  const shapes = [text(0, y + 12, label)];
  let x = LABEL_WIDTH;
  for (const [index, part] of parts.entries()) {
    shapes.push(rectangle(x, y, part * scale, index));
    x += part * scale;
  }
  const [from, to] = [LABEL_WIDTH + total.min * scale, LABEL_WIDTH + total.max * scale];
  shapes.push(
    `<path class="range" d="M${round(from)} ${y + BAR / 2}H${round(to)}M${round(from)} ${y + 3}v8M${round(to)} ${y + 3}v8"/>`,
    text(Math.max(x, to) + 8, y + 12, short(total.median)),
  );
  return shapes;
}

/** @param {number} x @param {number} y @param {number} width @param {number} part */
function rectangle(x, y, width, part) {
  const height = width === 10 ? 10 : BAR;
  return `<rect class="part${part}" x="${round(x)}" y="${y}" width="${round(width)}" height="${height}"/>`;
}

/** @param {number} x @param {number} y @param {string} content @param {string} [className] */
function text(x, y, content, className) {
  return `<text x="${round(x)}" y="${y}"${className ? ` class="${className}"` : ''}>${escaped(content)}</text>`;
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}

/** @param {string} text */
function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
