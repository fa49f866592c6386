/** Turns the sketch of a panel into the panel as Grafana imports it. */
import { linkToAlert, linkToPage } from './links.mjs';
import { DATASOURCE } from './variables.mjs';

/**
 * @typedef {object} Query
 * @property {string} expr
 * @property {string} [legend] a template with {{label}}
 *
 * @typedef {'timeseries' | 'stat' | 'table' | 'heatmap' | 'alertlist'} Kind
 *
 * @typedef {object} PanelSketch
 * @property {Kind} kind
 * @property {string} title
 * @property {string} description
 * @property {string} [unit] a Grafana unit
 * @property {number} width in columns of 24
 * @property {readonly Query[]} queries
 * @property {boolean} [isStacked]
 * @property {Readonly<Record<string, string>>} [colors] by series
 * @property {Readonly<Record<'warn' | 'alarm', number>>} [limits] the values from which it is orange and red
 * @property {Readonly<Record<number, { readonly text: string, readonly color: string }>>} [words] shown in place of a value
 * @property {string} [noValue] shown instead of “No data”
 * @property {readonly string[]} [alerts] whose runbook sections it links to
 * @property {readonly string[]} [pages] of the documentation that it links to
 *
 * @typedef {object} Row
 * @property {string} title
 * @property {readonly PanelSketch[]} panels
 *
 * @typedef {{ x: number, y: number, w: number, h: number }} GridPos
 */

/** @param {PanelSketch} sketch */
export function heightOf({ kind, queries }) {
  return kind === 'stat' && queries.every(({ legend }) => legend === undefined) ? 4 : 8;
}

/**
 * @param {PanelSketch} sketch
 * @param {number} id
 * @param {GridPos} gridPos
 */
export function panel(sketch, id, gridPos) {
  const { kind, title, description, queries, pages = [], alerts = [] } = sketch;
  const frame = { id, type: kind, title, description, gridPos };
  if (kind === 'alertlist') return { ...frame, options: optionsOf(sketch) };
  return {
    ...frame,
    datasource: DATASOURCE,
    links: [...pages.map(linkToPage), ...alerts.map(linkToAlert)],
    fieldConfig: fieldConfigOf(sketch),
    options: optionsOf(sketch),
    ...(kind === 'table' ? { transformations: [withoutTime()] } : {}),
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + index),
      datasource: DATASOURCE,
      editorMode: 'code',
      expr,
      legendFormat: legend ?? '__auto',
      ...formatOf(kind),
    })),
  };
}

/** @param {PanelSketch} sketch */
function fieldConfigOf({ kind, unit, isStacked = false, colors = {}, limits, words, noValue }) {
  const steps = limits
    ? [
        { color: 'green', value: null },
        ...(limits.warn < limits.alarm ? [{ color: 'orange', value: limits.warn }] : []),
        { color: 'red', value: limits.alarm },
      ]
    : [{ color: kind === 'stat' ? 'blue' : 'green', value: null }];
  return {
    defaults: {
      ...(unit === undefined ? {} : { unit }),
      // A graph of small values would otherwise not start at 0.
      ...(kind === 'timeseries' && unit !== 's' ? { min: 0 } : {}),
      ...(noValue === undefined ? {} : { noValue }),
      ...(words === undefined ? {} : { mappings: [{ type: 'value', options: words }] }),
      // increase() extrapolates, so a count is seldom whole.
      ...(kind === 'stat' && unit === 'short' ? { decimals: 0 } : {}),
      custom: kind === 'timeseries' ? lines(isStacked, limits !== undefined) : {},
      thresholds: { mode: 'absolute', steps },
    },
    overrides: Object.entries(colors).map(([series, color]) => ({
      matcher: { id: 'byName', options: series },
      properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }],
    })),
  };
}

/**
 * @param {boolean} isStacked
 * @param {boolean} hasThresholds
 */
function lines(isStacked, hasThresholds) {
  return {
    drawStyle: 'line',
    lineWidth: 1,
    fillOpacity: isStacked ? 30 : 0,
    showPoints: 'auto',
    spanNulls: false,
    stacking: { mode: isStacked ? 'normal' : 'none', group: 'A' },
    thresholdsStyle: { mode: hasThresholds ? 'dashed' : 'off' },
  };
}

/** @param {PanelSketch} sketch */
function optionsOf({ kind, unit, queries }) {
  switch (kind) {
    case 'timeseries':
      return {
        legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] },
        tooltip: { mode: 'multi', sort: 'desc' },
      };
    case 'stat':
      return {
        colorMode: 'value',
        graphMode: 'none',
        justifyMode: 'auto',
        orientation: 'auto',
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
        // In mode auto, a single number has no name: which policy, or which key?
        textMode: queries.some(({ legend }) => legend !== undefined) ? 'value_and_name' : 'value',
        wideLayout: true,
      };
    case 'heatmap':
      return {
        calculate: false,
        cellGap: 1,
        color: { mode: 'scheme', scheme: 'Blues', steps: 64, exponent: 0.5, fill: 'dark-blue' },
        legend: { show: true },
        tooltip: { mode: 'single', yHistogram: false },
        yAxis: { axisPlacement: 'left', unit },
      };
    case 'table':
      return { showHeader: true, cellHeight: 'sm' };
    case 'alertlist':
      return ALERT_LIST;
  }
}

const ALERT_LIST = {
  viewMode: 'list',
  groupMode: 'default',
  groupBy: [],
  maxItems: 20,
  // By importance.
  sortOrder: 3,
  dashboardAlerts: false,
  alertName: 'Approov',
  alertInstanceLabelFilter: '',
  showInstances: true,
  showInactiveAlerts: false,
  stateFilter: { firing: true, pending: true, noData: false, normal: false, error: true, recovering: true },
};

/** @param {Exclude<Kind, 'alertlist'>} kind */
function formatOf(kind) {
  switch (kind) {
    case 'table':
      return { format: 'table', instant: true, range: false };
    case 'heatmap':
      return { format: 'heatmap', instant: false, range: true };
    case 'stat':
      return { format: 'time_series', instant: true, range: false };
    case 'timeseries':
      return { format: 'time_series', instant: false, range: true };
  }
}

function withoutTime() {
  return { id: 'organize', options: { excludeByName: { Time: true }, renameByName: { Value: 'instances' } } };
}
