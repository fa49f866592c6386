/** Draws a soak: memory, handles and event-loop lag over time, with a mark for each event. */

const WIDTH = 760;
const LEFT = 70;
const RIGHT = 16;
const TOP = 44;
const PANEL = 110;
const GAP = 34;
/** Keeps the line off the top of its panel. */
const HEADROOM = 1.1;
/** An axis has so many steps at most. */
const MAX_STEPS = 7;

/** @typedef {import('./samples.mjs').Sample} Sample */

/** @type {readonly { title: string, of: (sample: Sample) => number }[]} */
const PANELS = [
  { title: 'resident memory, MiB', of: ({ memoryMib }) => memoryMib },
  { title: 'open files and sockets', of: ({ handles }) => handles },
  { title: 'event-loop delay (p99), ms', of: ({ lagMs }) => lagMs },
];

const STYLE = `text{font:12px system-ui,sans-serif;fill:#59636e}.title{font-size:14px;font-weight:600;fill:#1f2328}
.line{fill:none;stroke:#0969da;stroke-width:1.5}.axis{stroke:#d1d9e0}.reload{stroke:#59636e}.rotation{stroke:#1a7f37}.death{stroke:#cf222e}
@media(prefers-color-scheme:dark){text{fill:#9198a1}.title{fill:#e6edf3}.line{stroke:#79c0ff}.axis{stroke:#3d444d}.reload{stroke:#9198a1}.rotation{stroke:#3fb950}.death{stroke:#ff7b72}}`;

/**
 * @param {readonly Sample[]} samples
 * @param {readonly { seconds: number, kind: string }[]} events
 * @param {{ answered: number, wrong: number, minutes: number, transport: string }} result
 */
export function drawSoak(samples, events, { answered, wrong, minutes, transport }) {
  const height = TOP + PANELS.length * (PANEL + GAP);
  const end = minutes * 60;
  const x = (/** @type {number} */ seconds) => round(LEFT + (seconds / end) * (WIDTH - LEFT - RIGHT));
  const title = `${answered.toLocaleString('en')} checks in ${minutes} minutes over ${transport}, ${wrong} wrong answers`;
  const parts = PANELS.map(({ title: name, of }, index) => {
    const top = TOP + index * (PANEL + GAP);
    const highest = axisEnd(Math.max(...samples.map(of), 1) * HEADROOM);
    const y = (/** @type {number} */ value) => round(top + PANEL - (value / highest) * PANEL);
    const points = samples.map((sample) => `${x(sample.seconds)},${y(of(sample))}`).join(' ');
    return `<text x="${LEFT}" y="${top - 6}">${name}</text>
<line class="axis" x1="${LEFT}" y1="${top + PANEL}" x2="${WIDTH - RIGHT}" y2="${top + PANEL}"/>
<text x="${LEFT - 8}" y="${top + 10}" text-anchor="end">${highest}</text>
<text x="${LEFT - 8}" y="${top + PANEL}" text-anchor="end">0</text>
<polyline class="line" points="${points}"/>`;
  });
  const bottom = height - GAP;
  const marks = events.map(
    ({ seconds, kind }) =>
      `<line class="${kind}" x1="${x(seconds)}" y1="${bottom}" x2="${x(seconds)}" y2="${bottom + 6}"/>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="t d">
<title id="t">${title}</title>
<desc id="d">Marks at the bottom: grey is a reload of the configuration, green a rotation of keys, red the death of a worker.</desc>
<style>${STYLE}</style>
<text class="title" x="${LEFT}" y="18">${title}</text>
${parts.join('\n')}
${marks.join('\n')}
<text x="${LEFT}" y="${height - 8}">0 min</text>
<text x="${WIDTH - RIGHT}" y="${height - 8}" text-anchor="end">${minutes} min · marks: reload (grey), key rotation (green), killed worker (red)</text>
</svg>
`;
}

/**
 * The least number that is not below a value and a multiple of a step that people count in: 1, 2 or 5, or those times a
 * power of 10.
 * @param {number} value above 0
 */
export function axisEnd(value) {
  const least = value / MAX_STEPS;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((size) => size >= least) ?? power;
  // Without the noise of binary fractions.
  return Number((Math.ceil(value / step) * step).toPrecision(3));
}

/** @param {number} number */
function round(number) {
  return Math.round(number * 10) / 10;
}
