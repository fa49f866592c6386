/** Draws a recording of a terminal as an animated SVG that needs no script and no font of its own. */

const FONT_SIZE = 14;
const CELL = FONT_SIZE * 0.602;
const LINE = 19;
const PADDING = 16;
/** How long the end stays before the animation starts again. */
const END_SECONDS = 8;

/** The CSS class for each SGR code that the demo uses. */
const CLASSES = new Map([
  ['1', 'bold'],
  ['2', 'dim'],
  ['31', 'red'],
  ['32', 'green'],
  ['33', 'yellow'],
  ['36', 'cyan'],
]);

const PALETTES = {
  light: {
    paper: '#ffffff',
    edge: '#d1d9e0',
    text: '#1f2328',
    dim: '#59636e',
    red: '#cf222e',
    green: '#1a7f37',
    yellow: '#8a5c00',
    cyan: '#0969da',
  },
  dark: {
    paper: '#0d1117',
    edge: '#3d444d',
    text: '#e6edf3',
    dim: '#9198a1',
    red: '#ff7b72',
    green: '#3fb950',
    yellow: '#d29922',
    cyan: '#79c0ff',
  },
};

/** @param {keyof typeof PALETTES} name */
function colours(name) {
  const { paper, edge, text, ...rest } = PALETTES[name];
  const fills = Object.entries(rest).map(([style, colour]) => `.${style} { fill: ${colour}; }`);
  return [
    `.paper { fill: ${paper}; }`,
    `.edge { stroke: ${edge}; }`,
    `text { fill: ${text}; }`,
    ...fills,
  ].join(' ');
}

const STYLE = `
text { font: ${FONT_SIZE}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace; }
.bold { font-weight: bold; }
${colours('light')}
@media (prefers-color-scheme: dark) { ${colours('dark')} }`;

/** @typedef {{ text: string, seconds: number }} TimedLine a line with its SGR codes, and when it appears */

/**
 * @param {readonly TimedLine[]} lines in order
 * @param {{ columns: number, rows: number, title: string }} options the size of the terminal
 * @returns {string}
 */
export function terminalSvg(lines, { columns, rows, title }) {
  const width = Math.ceil(columns * CELL) + 2 * PADDING;
  const height = rows * LINE + 2 * PADDING;
  const texts = lines.map(({ text }, index) => drawLine(text, index)).filter((text) => text !== '');
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeXml(title)}">
<style>${STYLE}${animate(lines, rows)}
</style>
<rect class="paper edge" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
<svg x="${PADDING}" y="${PADDING}" width="${width - 2 * PADDING}" height="${rows * LINE}">
<g class="scroll">
${texts.join('\n')}
<rect class="paper cover" width="100%" height="${lines.length * LINE}"/>
</g>
</svg>
</svg>
`;
}

/**
 * Each word group has a position of its own, so that columns stay aligned in any font.
 * @param {string} text
 * @param {number} index
 */
function drawLine(text, index) {
  let column = 0;
  let name = '';
  const spans = text.split('\u001b[').flatMap((piece, part) => {
    const codeLength = part === 0 ? 0 : piece.indexOf('m') + 1;
    if (part > 0) name = CLASSES.get(piece.slice(0, codeLength - 1)) ?? '';
    const run = piece.slice(codeLength);
    const groups = Array.from(run.matchAll(/\S+(?: \S+)*/g), ({ 0: words, index: offset }) => {
      const x = Number(((column + offset) * CELL).toFixed(2));
      return `<tspan x="${x}"${name === '' ? '' : ` class="${name}"`}>${escapeXml(words)}</tspan>`;
    });
    column += run.length;
    return groups;
  });
  return spans.length === 0 ? '' : `<text y="${index * LINE + FONT_SIZE}">${spans.join('')}</text>`;
}

/**
 * A cover moves down as lines appear, and the lines move up once they fill the terminal. Without animation (where the
 * reader prefers that, or the viewer has none) the end is shown.
 * @param {readonly TimedLine[]} lines
 * @param {number} rows
 */
function animate(lines, rows) {
  const duration = (lines.at(-1)?.seconds ?? 0) + END_SECONDS;
  /** @type {(shown: number) => string} */
  const cover = (shown) => `transform: translateY(${shown * LINE}px)`;
  /** @type {(shown: number) => string} */
  const scroll = (shown) => `transform: translateY(${Math.min(0, rows - shown) * LINE}px)`;
  /** @type {(move: (shown: number) => string) => string} */
  const keyframes = (move) =>
    lines
      .filter(({ seconds }, index) => seconds !== lines[index + 1]?.seconds)
      .map(({ seconds }) => {
        const shown = lines.filter((line) => line.seconds <= seconds).length;
        return `${((100 * seconds) / duration).toFixed(2)}% { ${move(shown)} }`;
      })
      .join(' ');
  return `
.cover { ${cover(lines.length)}; }
.scroll { ${scroll(lines.length)}; }
@media (prefers-reduced-motion: no-preference) {
  .cover { animation: cover ${duration.toFixed(1)}s step-end infinite; }
  .scroll { animation: scroll ${duration.toFixed(1)}s step-end infinite; }
}
@keyframes cover { ${keyframes(cover)} }
@keyframes scroll { ${keyframes(scroll)} }`;
}

/** @param {string} text */
function escapeXml(text) {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
