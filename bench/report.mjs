/** Turns a run into tables of figures and paired ratios. */
import { pairedRatios, summarize } from './statistics.mjs';
import { short, withRange } from './table.mjs';

/** @typedef {import('./rounds.mjs').Series} Series */
/** @typedef {import('./rounds.mjs').PartResult} PartResult */
/** @typedef {import('./table.mjs').Table} Table */

/** @typedef {{ label: string, is: (contender: import('./contenders.mjs').Contender) => boolean }} Baseline */

/**
 * The contenders that others are compared with, if they take part.
 * @type {Readonly<Record<'direct' | 'envoy', readonly Baseline[]>>}
 */
const BASELINES = {
  direct: [
    { label: '× empty', is: ({ subject }) => subject?.id === 'empty' },
    { label: '× Go', is: ({ subject }) => subject?.id === 'go' },
  ],
  envoy: [
    { label: '× jwt_authn', is: ({ filter }) => filter?.id === 'jwt' },
    { label: '× Go', is: ({ subject }) => subject?.id === 'go' },
    { label: '× ours on grpc-js', is: ({ id }) => id.endsWith(' ext ours-grpc-js') },
  ],
};

/**
 * @param {import('./rounds.mjs').Pace} pace
 * @param {import('./run.mjs').Results} results
 * @returns {Table[]}
 */
export function tablesOf({ perSecond }, { direct, envoy, steps }) {
  const rate = `at ${perSecond}/s`;
  return [
    ...(direct === undefined ? [] : directTables(direct)),
    ...(direct === undefined ? [] : latencyTables(`Direct, hot token, ${rate}: latency`, direct)),
    ...(direct === undefined ? [] : memoryTables('Memory after the direct load', direct)),
    ...(envoy === undefined ? [] : envoyTables(envoy)),
    ...(envoy === undefined ? [] : latencyTables(`Through Envoy, hot token, ${rate}: latency`, envoy)),
    ...(envoy === undefined ? [] : memoryTables('Memory after the load through Envoy', envoy)),
    ...(steps === undefined ? [] : [stepsTable(steps)]),
  ];
}

/** @param {import('./run.mjs').Run} run */
export function machineLines({ machine, unavailable }) {
  return [
    ...Object.entries(machine).map(([name, value]) => `${name}: ${value}`),
    ...unavailable.map(({ label, why }) => `not measured: ${label}: ${why}`),
  ];
}

/**
 * CPU per Check and throughput, a table for each scenario.
 * @param {PartResult} result
 * @returns {Table[]}
 */
function directTables({ series }) {
  return byScenario(series).map(({ scenario, rows }) => {
    const bases = baselinesOf(rows, BASELINES.direct);
    const hot = series.filter(({ contender }) => contender.scenario.id === 'hot');
    const toHot = scenario.id !== 'hot' && hot.length > 0;
    return {
      title: `Direct, ${scenario.label}: CPU of the server per check`,
      columns: [
        'server',
        'µs',
        ...bases.map(({ label }) => label),
        ...(toHot ? ['× hot token'] : []),
        'checks/s',
      ],
      rows: rows.map((row) => [
        row.contender.label,
        withRange(summarize(row.serverMicros)),
        ...bases.map(({ base }) => withRange(ratio(row.serverMicros, base.serverMicros))),
        ...(toHot ? [withRange(ratio(row.serverMicros, sameSubject(hot, row)?.serverMicros ?? []))] : []),
        short(summarize(row.perSecond).median),
      ]),
    };
  });
}

/**
 * CPU of Envoy and of the server, a table for each scenario.
 * @param {PartResult} result
 * @returns {Table[]}
 */
function envoyTables({ series }) {
  return byScenario(series).map(({ scenario, rows }) => {
    const bases = baselinesOf(rows, BASELINES.envoy);
    return {
      title: `Through Envoy, ${scenario.label}: CPU per request`,
      columns: ['', 'Envoy µs', 'server µs', 'both µs', ...bases.map(({ label }) => label), 'requests/s'],
      rows: rows.map((row) => [
        row.contender.label,
        withRange(summarize(row.envoyMicros)),
        row.contender.subject === undefined ? '' : withRange(summarize(row.serverMicros)),
        withRange(summarize(bothMicros(row))),
        ...bases.map(({ base }) => withRange(ratio(bothMicros(row), bothMicros(base)))),
        short(summarize(row.perSecond).median),
      ]),
    };
  });
}

/**
 * Latency at the fixed rate; through Envoy, also what it adds to a request without auth.
 * @param {string} title
 * @param {PartResult} result
 * @returns {Table[]}
 */
function latencyTables(title, { series }) {
  const rows = series.filter(({ p50Millis }) => p50Millis.length > 0);
  if (rows.length === 0) return [];
  const bare = rows.find(({ contender }) => contender.filter?.id === 'none');
  const go = rows.find(({ contender }) => contender.subject?.id === 'go');
  const added = (/** @type {number[]} */ values, /** @type {number[]} */ without) =>
    values.map((value, round) => value - (without[round] ?? Number.NaN));
  /** @param {Series} row */
  const addedCells = (row) => {
    if (bare === undefined) return [];
    const own = added(row.p50Millis, bare.p50Millis);
    const cells = [row === bare ? '' : withRange(summarize(own))];
    if (go !== undefined)
      cells.push(row === bare ? '' : withRange(ratio(own, added(go.p50Millis, bare.p50Millis))));
    return cells;
  };
  return [
    {
      title,
      columns: [
        ...['', 'p50 ms'],
        ...(bare === undefined ? [] : ['added p50 ms', ...(go === undefined ? [] : ['× Go'])]),
        ...['p99 ms', ...(go === undefined ? [] : ['× Go'])],
      ],
      rows: rows.map((row) => [
        row.contender.label,
        withRange(summarize(row.p50Millis)),
        ...addedCells(row),
        withRange(summarize(row.p99Millis)),
        ...(go === undefined ? [] : [withRange(ratio(row.p99Millis, go.p99Millis))]),
      ]),
    },
  ];
}

/**
 * @param {string} title
 * @param {PartResult} result
 * @returns {Table[]}
 */
function memoryTables(title, { memory }) {
  if (memory.length === 0) return [];
  const rows = memory.map(({ label, mebibytes }) => [label, withRange(summarize(mebibytes))]);
  return [{ title, columns: ['server', 'MiB resident'], rows }];
}

/**
 * @param {Readonly<Record<string, number[]>>} steps
 * @returns {Table}
 */
function stepsTable(steps) {
  return {
    title: 'Steps of a check, in a process that does nothing else',
    columns: ['step', 'µs'],
    rows: Object.entries(steps).map(([label, micros]) => [label, withRange(summarize(micros))]),
  };
}

/** @param {Series} series */
export function bothMicros({ envoyMicros, serverMicros }) {
  return envoyMicros.map((micros, round) => micros + (serverMicros[round] ?? 0));
}

/** @param {readonly Series[]} series */
export function byScenario(series) {
  const scenarios = [...new Set(series.map(({ contender }) => contender.scenario))];
  return scenarios.map((scenario) => ({
    scenario,
    rows: series.filter(({ contender }) => contender.scenario === scenario),
  }));
}

/** @param {readonly Series[]} rows @param {readonly Baseline[]} baselines */
function baselinesOf(rows, baselines) {
  return baselines.flatMap(({ label, is }) => {
    const base = rows.find(({ contender }) => is(contender));
    return base === undefined ? [] : [{ label, base }];
  });
}

/** @param {number[]} values @param {number[]} baseline */
function ratio(values, baseline) {
  return summarize(pairedRatios(values, baseline));
}

/** @param {readonly Series[]} candidates @param {Series} row */
function sameSubject(candidates, { contender }) {
  return candidates.find((candidate) => candidate.contender.subject === contender.subject);
}
