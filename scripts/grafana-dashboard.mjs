/** Writes the Grafana dashboard, deploy/grafana/dashboard.json. */
import { execFileSync } from 'node:child_process';
import { realpathSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { annotations } from './grafana/annotations.mjs';
import { dashboardLinks } from './grafana/links.mjs';
import { heightOf, panel } from './grafana/panel.mjs';
import { ROW_OF_ENVOY } from './grafana/row-of-envoy.mjs';
import { ROW_OF_MODES } from './grafana/row-of-modes.mjs';
import { ROW_OF_ROLLOUT } from './grafana/row-of-rollout.mjs';
import { ROWS_OF_OUTCOME } from './grafana/rows-of-outcome.mjs';
import { ROWS_OF_SERVICE } from './grafana/rows-of-service.mjs';
import { ROWS_OF_TOKENS } from './grafana/rows-of-tokens.mjs';
import { variables } from './grafana/variables.mjs';

const FILE = fileURLToPath(new URL('../deploy/grafana/dashboard.json', import.meta.url));
const BIOME = fileURLToPath(new URL('../node_modules/@biomejs/biome/bin/biome', import.meta.url));

const COLUMNS = 24;
/** Grafana 11.0 writes this version. Later ones upgrade it as they load it. */
const SCHEMA_VERSION = 39;

const ROWS = [
  ...ROWS_OF_OUTCOME,
  ROW_OF_ROLLOUT,
  ROW_OF_MODES,
  ...ROWS_OF_TOKENS,
  ...ROWS_OF_SERVICE,
  ROW_OF_ENVOY,
];

/** The dashboard as Grafana imports it. */
export function buildDashboard() {
  return {
    uid: 'approov-ext-authz',
    title: 'approov-ext-authz',
    description: 'Decisions about Approov tokens by reason, policy and key, and the health of the service.',
    tags: ['approov', 'envoy'],
    schemaVersion: SCHEMA_VERSION,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    timezone: 'browser',
    templating: { list: variables() },
    annotations: { list: annotations() },
    links: dashboardLinks(),
    panels: layOut(),
  };
}

/** Places the rows below each other, all but the first collapsed. A collapsed row contains its panels; those of an open row follow it. */
function layOut() {
  let lastId = 0;
  let y = 0;
  return ROWS.flatMap(({ title, panels: sketches }, index) => {
    const isCollapsed = index > 0;
    const id = ++lastId;
    const panels = placed(sketches, y + 1).map(({ sketch, place }) => panel(sketch, ++lastId, place));
    const row = {
      id,
      type: 'row',
      title,
      collapsed: isCollapsed,
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
      panels: isCollapsed ? panels : [],
    };
    y = isCollapsed ? y + 1 : Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h));
    return isCollapsed ? [row] : [row, ...panels];
  });
}

/**
 * Fills lines from the left.
 * @param {readonly import('./grafana/panel.mjs').PanelSketch[]} sketches
 * @param {number} top
 */
function placed(sketches, top) {
  let x = 0;
  let y = top;
  let lineHeight = 0;
  return sketches.map((sketch) => {
    if (x + sketch.width > COLUMNS) {
      x = 0;
      y += lineHeight;
      lineHeight = 0;
    }
    const place = { x, y, w: sketch.width, h: heightOf(sketch) };
    x += sketch.width;
    lineHeight = Math.max(lineHeight, place.h);
    return { sketch, place };
  });
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  writeFileSync(FILE, `${JSON.stringify(buildDashboard(), null, 2)}\n`);
  execFileSync(process.execPath, [BIOME, 'format', '--write', FILE], { stdio: 'ignore' });
}
