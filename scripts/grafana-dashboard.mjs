/** Writes the Grafana dashboard, deploy/grafana/dashboard.json. */
import { execFileSync } from 'node:child_process';
import { realpathSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FILE = fileURLToPath(new URL('../deploy/grafana/dashboard.json', import.meta.url));
const BIOME = fileURLToPath(new URL('../node_modules/@biomejs/biome/bin/biome', import.meta.url));

const COLUMNS = 24;
const DATASOURCE = { type: 'prometheus', uid: '$datasource' };

/** Selects by the dashboard's variables. */
const CHOSEN = 'namespace=~"$namespace", job=~"$job", instance=~"$instance"';
const CHOSEN_POLICIES = `${CHOSEN}, policy=~"$policy"`;
/** Excludes skipped checks, which say nothing about tokens. */
const JUDGED = 'verdict=~"verified|unverified"';

/**
 * @typedef {object} Query
 * @property {string} expr
 * @property {string} [legend] a template with {{label}}
 *
 * @typedef {'timeseries' | 'stat' | 'table' | 'heatmap'} Kind
 *
 * @typedef {object} PanelSketch
 * @property {Kind} kind
 * @property {string} title
 * @property {string} description
 * @property {string} [unit] a Grafana unit
 * @property {number} width in columns of 24
 * @property {readonly Query[]} queries
 * @property {boolean} [isStacked]
 * @property {Readonly<Record<'warn' | 'alarm', number>>} [limits] the values from which it is orange and red
 */

/** @type {readonly { readonly title: string, readonly panels: readonly PanelSketch[] }[]} */
const ROWS = [
  {
    title: 'Outcome by reason',
    panels: [
      {
        kind: 'stat',
        title: 'Checks',
        description: 'Checks per second by the selected policies, including skipped ones.',
        unit: 'reqps',
        width: 6,
        queries: [{ expr: `sum(rate(approov_checks_total{${CHOSEN_POLICIES}}[$__rate_interval]))` }],
      },
      {
        kind: 'stat',
        title: 'Unverified share',
        description:
          'Share of checked requests without a valid token, excluding skipped checks. Be able to explain it before you enforce.',
        unit: 'percentunit',
        width: 6,
        limits: { warn: 0.02, alarm: 0.1 },
        queries: [{ expr: unverifiedShare('') }],
      },
      {
        kind: 'stat',
        title: 'Internal errors',
        description: 'Checks in the selected time range that failed with an internal error. Should be 0.',
        unit: 'short',
        width: 6,
        limits: { warn: 1, alarm: 1 },
        queries: [
          {
            expr: `sum(increase(approov_checks_total{${CHOSEN_POLICIES}, reason="internal_error"}[$__range]))`,
          },
        ],
      },
      {
        kind: 'stat',
        title: 'Instances',
        description: 'Instances that Prometheus scrapes.',
        unit: 'short',
        width: 6,
        queries: [{ expr: `count(approov_build_info{${CHOSEN}})` }],
      },
      {
        kind: 'timeseries',
        title: 'Checks by action',
        description:
          'The response to Envoy: allow, limit (allowed, but marked for the rate limiter) or deny.',
        unit: 'reqps',
        width: 12,
        isStacked: true,
        queries: [
          {
            expr: `sum by (action) (rate(approov_checks_total{${CHOSEN_POLICIES}}[$__rate_interval]))`,
            legend: '{{action}}',
          },
        ],
      },
      {
        kind: 'timeseries',
        title: 'Unverified by reason',
        description: 'Why requests are unverified, in every mode.',
        unit: 'reqps',
        width: 12,
        isStacked: true,
        queries: [
          {
            expr: `sum by (reason) (rate(approov_checks_total{${CHOSEN_POLICIES}, verdict="unverified"}[$__rate_interval])) > 0`,
            legend: '{{reason}}',
          },
        ],
      },
    ],
  },
  {
    title: 'Would-deny by policy',
    panels: [
      {
        kind: 'timeseries',
        title: 'Unverified share by policy',
        description:
          'The share that enforce denies or would deny. Watch it before you change a policy from observe to enforce.',
        unit: 'percentunit',
        width: 10,
        queries: [{ expr: unverifiedShare('policy'), legend: '{{policy}}' }],
      },
      {
        kind: 'timeseries',
        title: 'Would-deny by policy and reason',
        description: 'Unverified requests that were allowed because the policy does not enforce.',
        unit: 'reqps',
        width: 9,
        isStacked: true,
        queries: [
          {
            expr: `sum by (policy, reason) (rate(approov_checks_total{${CHOSEN_POLICIES}, verdict="unverified", action!="deny"}[$__rate_interval])) > 0`,
            legend: '{{policy}}: {{reason}}',
          },
        ],
      },
      {
        kind: 'table',
        title: 'Mode of each policy',
        description:
          'Instances by policy and mode. Two modes for one policy mean that a change is rolling out.',
        width: 5,
        queries: [{ expr: `sum by (policy, mode) (approov_policy_mode{${CHOSEN_POLICIES}})` }],
      },
    ],
  },
  {
    title: 'Keys and rotation',
    panels: [
      {
        kind: 'timeseries',
        title: 'Tokens verified by key',
        description:
          'During a rotation the new key rises and the old one falls to zero; then remove the old one.',
        unit: 'reqps',
        width: 10,
        isStacked: true,
        queries: [
          {
            expr: `sum by (key_id) (rate(approov_key_verifications_total{${CHOSEN}}[$__rate_interval]))`,
            legend: '{{key_id}}',
          },
        ],
      },
      {
        kind: 'stat',
        title: 'Time since last use',
        description:
          'By key, across all instances. A missing key has not been used since the instances started.',
        unit: 's',
        width: 7,
        queries: [
          {
            expr: `time() - (max by (key_id) (approov_key_last_used_timestamp_seconds{${CHOSEN}}) > 0)`,
            legend: '{{key_id}}',
          },
        ],
      },
      {
        kind: 'timeseries',
        title: 'Age of fetched JWK Sets',
        description:
          'Rises between fetches. If it only rises, the JWKS fetch fails and the last good JWK Set remains in use.',
        unit: 's',
        width: 7,
        queries: [{ expr: `max by (key_id) (approov_jwks_age_seconds{${CHOSEN}})`, legend: '{{key_id}}' }],
      },
    ],
  },
  {
    title: 'Latency',
    panels: [
      {
        kind: 'timeseries',
        title: 'Check duration',
        description: 'From the received message to the written response, without the network.',
        unit: 's',
        width: 8,
        queries: quantiles('approov_check_duration_seconds', [0.5, 0.9, 0.99]),
      },
      {
        kind: 'heatmap',
        title: 'Checks by duration',
        description: 'Distribution of check durations.',
        unit: 's',
        width: 8,
        queries: [buckets('approov_check_duration_seconds')],
      },
      {
        kind: 'timeseries',
        title: 'In flight and abandoned',
        description:
          'Checks in progress, and checks per second that were abandoned because their deadline passed or Envoy cancelled them.',
        unit: 'short',
        width: 8,
        queries: [
          { expr: `sum(approov_checks_in_flight{${CHOSEN}})`, legend: 'in flight' },
          {
            expr: `sum by (cause) (rate(approov_checks_abandoned_total{${CHOSEN}}[$__rate_interval]))`,
            legend: '{{cause}} per second',
          },
        ],
      },
      {
        kind: 'timeseries',
        title: 'Ambiguous requests',
        description:
          'Requests per second whose path or host upstreams may read in different ways. The strictest policy that could apply checks them.',
        unit: 'reqps',
        width: 24,
        queries: [
          {
            expr: `sum by (cause) (rate(approov_ambiguous_requests_total{${CHOSEN}}[$__rate_interval]))`,
            legend: '{{cause}}',
          },
        ],
      },
    ],
  },
  {
    title: 'SDK status',
    panels: [
      {
        kind: 'timeseries',
        title: 'SDK status',
        description:
          'Why apps have no token, according to them. Useful for diagnosis, but not proof: clients can send anything.',
        unit: 'reqps',
        width: 12,
        isStacked: true,
        queries: [
          {
            expr: `sum by (status) (rate(approov_sdk_status_total{${CHOSEN}, status!="success"}[$__rate_interval])) > 0`,
            legend: '{{status}}',
          },
        ],
      },
      {
        kind: 'timeseries',
        title: 'Share of requests with an SDK status',
        description: 'SDK status other than success, as a share of checked requests.',
        unit: 'percentunit',
        width: 12,
        queries: [
          {
            expr: `sum by (status) (rate(approov_sdk_status_total{${CHOSEN}, status!="success"}[$__rate_interval])) / scalar(sum(rate(approov_checks_total{${CHOSEN}, ${JUDGED}}[$__rate_interval])) > 0)`,
            legend: '{{status}}',
          },
        ],
      },
    ],
  },
  {
    title: 'Token remaining',
    panels: [
      {
        kind: 'timeseries',
        title: 'Remaining token lifetime',
        description:
          'Tokens are valid for 5 minutes. With a correct clock, a tenth of them have more than 240 s left and none more than 300 s.',
        unit: 's',
        width: 8,
        queries: quantiles('approov_token_remaining_seconds', [0.1, 0.5, 0.9]),
      },
      {
        kind: 'timeseries',
        title: 'Clock skew',
        description:
          'By instance: expired tokens (clock ahead, or late clients) and tokens with more than 5 minutes left (clock behind).',
        unit: 'percentunit',
        width: 8,
        queries: [
          { expr: remainingShare('0'), legend: '{{instance}}: expired' },
          { expr: `1 - ${remainingShare('300')}`, legend: '{{instance}}: over 5 minutes' },
        ],
      },
      {
        kind: 'heatmap',
        title: 'Tokens by remaining lifetime',
        description: 'Distribution of the seconds left; below 0 the token had expired.',
        unit: 's',
        width: 8,
        queries: [buckets('approov_token_remaining_seconds')],
      },
    ],
  },
  {
    title: 'Token cache',
    panels: [
      {
        kind: 'timeseries',
        title: 'Hit ratio',
        description:
          'Share of tokens whose signature was cached. Apps reuse a token until it expires, so it should be high.',
        unit: 'percentunit',
        width: 12,
        queries: [
          {
            expr: `sum by (instance) (rate(approov_token_cache_lookups_total{${CHOSEN}, outcome="hit"}[$__rate_interval])) / (sum by (instance) (rate(approov_token_cache_lookups_total{${CHOSEN}}[$__rate_interval])) > 0)`,
            legend: '{{instance}}',
          },
        ],
      },
      {
        kind: 'timeseries',
        title: 'Lookups',
        description: 'Lookups per second. Each miss costs one signature verification.',
        unit: 'ops',
        width: 12,
        isStacked: true,
        queries: [
          {
            expr: `sum by (outcome) (rate(approov_token_cache_lookups_total{${CHOSEN}}[$__rate_interval]))`,
            legend: '{{outcome}}',
          },
        ],
      },
    ],
  },
  {
    title: 'Reloads',
    panels: [
      {
        kind: 'timeseries',
        title: 'Reloads',
        description: 'Reloads of changed files. After a failure the last good state remains in use.',
        unit: 'short',
        width: 12,
        queries: [
          {
            expr: `sum by (source, outcome) (increase(approov_reloads_total{${CHOSEN}}[$__rate_interval])) > 0`,
            legend: '{{source}}: {{outcome}}',
          },
        ],
      },
      {
        kind: 'stat',
        title: 'Time since the last successful load',
        description: 'By source, of the instance that is furthest behind.',
        unit: 's',
        width: 12,
        queries: [
          {
            expr: `time() - min by (source) (approov_reload_last_success_timestamp_seconds{${CHOSEN}} > 0)`,
            legend: '{{source}}',
          },
        ],
      },
    ],
  },
  {
    title: 'Process',
    panels: [
      {
        kind: 'timeseries',
        title: 'CPU',
        description: 'Cores in use. A process with one worker cannot use much more than one.',
        unit: 'short',
        width: 8,
        queries: [
          { expr: `rate(process_cpu_seconds_total{${CHOSEN}}[$__rate_interval])`, legend: '{{instance}}' },
        ],
      },
      {
        kind: 'timeseries',
        title: 'Memory',
        description: 'Resident memory, and the JavaScript heap in it.',
        unit: 'bytes',
        width: 8,
        queries: [
          { expr: `process_resident_memory_bytes{${CHOSEN}}`, legend: '{{instance}}' },
          { expr: `nodejs_heap_size_used_bytes{${CHOSEN}}`, legend: '{{instance}} heap' },
        ],
      },
      {
        kind: 'timeseries',
        title: 'Event loop delay',
        description:
          'The 99th percentile. An idle process shows about 10 ms, the resolution of the measurement.',
        unit: 's',
        width: 8,
        queries: [{ expr: `nodejs_eventloop_lag_p99_seconds{${CHOSEN}}`, legend: '{{instance}}' }],
      },
      {
        kind: 'timeseries',
        title: 'Garbage collection',
        description: 'Share of time spent, by kind.',
        unit: 'percentunit',
        width: 8,
        queries: [
          {
            expr: `sum by (kind) (rate(nodejs_gc_duration_seconds_sum{${CHOSEN}}[$__rate_interval])) / scalar(count(approov_build_info{${CHOSEN}}))`,
            legend: '{{kind}}',
          },
        ],
      },
      {
        kind: 'timeseries',
        title: 'Open files',
        description: 'Sockets and files, as a share of the limit.',
        unit: 'percentunit',
        width: 8,
        queries: [
          {
            expr: `process_open_fds{${CHOSEN}} / process_max_fds{${CHOSEN}}`,
            legend: '{{instance}}',
          },
        ],
      },
      {
        kind: 'timeseries',
        title: 'Restarts',
        description: 'Restarts of the process and of its workers within an hour.',
        unit: 'short',
        width: 8,
        queries: [
          { expr: `changes(process_start_time_seconds{${CHOSEN}}[1h])`, legend: '{{instance}}' },
          { expr: `increase(approov_worker_restarts_total{${CHOSEN}}[1h])`, legend: '{{instance}} workers' },
        ],
      },
      {
        kind: 'timeseries',
        title: 'Suppressed log lines',
        description:
          'Log lines of failed checks above 20 per second and reason. They are summarized in the log and counted here.',
        unit: 'short',
        width: 16,
        queries: [
          {
            expr: `sum by (reason) (rate(approov_log_lines_suppressed_total{${CHOSEN}}[$__rate_interval])) > 0`,
            legend: '{{reason}}',
          },
        ],
      },
      {
        kind: 'table',
        title: 'Versions',
        description: 'The number of instances by version.',
        width: 8,
        queries: [{ expr: `count by (version) (approov_build_info{${CHOSEN}})` }],
      },
    ],
  },
  {
    title: 'Envoy',
    panels: [
      {
        kind: 'timeseries',
        title: 'Failed checks',
        description:
          'By Envoy, in 5 minutes: failed checks, and requests allowed nevertheless (failure_mode_allow). From recording rules in deploy/prometheus/rules.yaml.',
        unit: 'short',
        width: 8,
        queries: [
          { expr: 'instance:envoy_ext_authz_error:increase5m >= 0', legend: '{{instance}}: failed' },
          {
            expr: 'instance:envoy_ext_authz_failure_mode_allowed:increase5m >= 0',
            legend: '{{instance}}: allowed',
          },
        ],
      },
      {
        kind: 'timeseries',
        title: 'Responses',
        description:
          'By Envoy, in 5 minutes: requests that ext_authz denied and allowed. From the same recording rules.',
        unit: 'short',
        width: 8,
        queries: [
          { expr: 'instance:envoy_ext_authz_denied:increase5m >= 0', legend: '{{instance}}: denied' },
          { expr: 'instance:envoy_ext_authz_ok:increase5m >= 0', legend: '{{instance}}: ok' },
        ],
      },
      {
        kind: 'timeseries',
        title: 'Healthy instances',
        description: 'As seen by each Envoy, in clusters whose name contains “approov”.',
        unit: 'short',
        width: 8,
        queries: [
          {
            expr: 'sum by (instance, envoy_cluster_name) ({__name__=~"envoy_cluster_(.+_)?membership_healthy", envoy_cluster_name=~".*approov.*"})',
            legend: '{{instance}}: {{envoy_cluster_name}}',
          },
        ],
      },
    ],
  },
];

/** @param {string} label the label to group by; empty for the total */
function unverifiedShare(label) {
  const by = label === '' ? '' : ` by (${label})`;
  const rate = (/** @type {string} */ verdicts) =>
    `sum${by} (rate(approov_checks_total{${CHOSEN_POLICIES}, ${verdicts}}[$__rate_interval]))`;
  return `${rate('verdict="unverified"')} / (${rate(JUDGED)} > 0)`;
}

/**
 * @param {string} histogram
 * @param {readonly number[]} fractions
 * @returns {Query[]}
 */
function quantiles(histogram, fractions) {
  return fractions.map((fraction) => ({
    expr: `histogram_quantile(${fraction}, sum by (le) (rate(${histogram}_bucket{${CHOSEN}}[$__rate_interval])))`,
    legend: `p${fraction * 100}`,
  }));
}

/**
 * @param {string} histogram
 * @returns {Query}
 */
function buckets(histogram) {
  return {
    expr: `sum by (le) (increase(${histogram}_bucket{${CHOSEN}}[$__rate_interval]))`,
    legend: '{{le}}',
  };
}

/**
 * The share of tokens with at most the given seconds left.
 * @param {string} seconds a bucket's upper bound; Prometheus 3 writes it with `.0`
 */
function remainingShare(seconds) {
  const metric = 'approov_token_remaining_seconds';
  const atMost = `sum by (instance) (rate(${metric}_bucket{${CHOSEN}, le=~"${seconds}(\\\\.0)?"}[$__rate_interval]))`;
  return `${atMost} / (sum by (instance) (rate(${metric}_count{${CHOSEN}}[$__rate_interval])) > 0)`;
}

/** The dashboard as Grafana imports it. */
export function buildDashboard() {
  /** @type {Record<string, unknown>[]} */
  const panels = [];
  let y = 0;
  for (const row of ROWS) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title: row.title,
      collapsed: false,
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
      panels: [],
    });
    y += 1;
    let x = 0;
    let lineHeight = 0;
    for (const sketch of row.panels) {
      if (x + sketch.width > COLUMNS) {
        x = 0;
        y += lineHeight;
        lineHeight = 0;
      }
      const height =
        sketch.kind === 'stat' && sketch.queries.every(({ legend }) => legend === undefined) ? 4 : 8;
      panels.push(panel(sketch, panels.length + 1, { x, y, w: sketch.width, h: height }));
      x += sketch.width;
      lineHeight = Math.max(lineHeight, height);
    }
    y += lineHeight;
  }
  return {
    uid: 'approov-ext-authz',
    title: 'approov-ext-authz',
    description: 'Decisions about Approov tokens by reason, policy and key, and the health of the service.',
    tags: ['approov', 'envoy'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    timezone: 'browser',
    templating: { list: variables() },
    annotations: { list: [] },
    links: [],
    panels,
  };
}

function variables() {
  return [
    {
      name: 'datasource',
      label: 'Data source',
      type: 'datasource',
      query: 'prometheus',
      current: {},
      hide: 0,
    },
    variable('namespace', 'Namespace', 'label_values(approov_build_info, namespace)'),
    variable('job', 'Job', 'label_values(approov_build_info{namespace=~"$namespace"}, job)'),
    variable(
      'instance',
      'Instance',
      'label_values(approov_build_info{namespace=~"$namespace", job=~"$job"}, instance)',
    ),
    variable(
      'policy',
      'Policy',
      'label_values(approov_checks_total{namespace=~"$namespace", job=~"$job"}, policy)',
    ),
  ];
}

/**
 * @param {string} name
 * @param {string} label
 * @param {string} query
 */
function variable(name, label, query) {
  return {
    name,
    label,
    type: 'query',
    datasource: DATASOURCE,
    query: { query, refId: name },
    definition: query,
    // On time range change, so that terminated instances leave the list.
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    // Also matches targets without the label: outside Kubernetes there is no namespace.
    allValue: '.*',
    current: { selected: true, text: ['All'], value: ['$__all'] },
    hide: 0,
  };
}

/**
 * @param {PanelSketch} sketch
 * @param {number} id
 * @param {{ x: number, y: number, w: number, h: number }} gridPos
 */
function panel({ kind, title, description, unit, queries, isStacked = false, limits }, id, gridPos) {
  const custom =
    kind === 'timeseries'
      ? {
          drawStyle: 'line',
          lineWidth: 1,
          fillOpacity: isStacked ? 30 : 0,
          showPoints: 'never',
          spanNulls: false,
          stacking: { mode: isStacked ? 'normal' : 'none', group: 'A' },
        }
      : {};
  const steps = limits
    ? [
        { color: 'green', value: null },
        { color: 'orange', value: limits.warn },
        { color: 'red', value: limits.alarm },
      ]
    : [{ color: kind === 'stat' ? 'blue' : 'green', value: null }];
  return {
    id,
    type: kind,
    title,
    description,
    datasource: DATASOURCE,
    gridPos,
    fieldConfig: {
      defaults: {
        ...(unit === undefined ? {} : { unit }),
        ...(unit === 'percentunit' ? { min: 0 } : {}),
        custom,
        thresholds: { mode: 'absolute', steps },
      },
      overrides: [],
    },
    options: optionsOf(kind, unit),
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

/**
 * @param {Kind} kind
 * @param {string | undefined} unit
 */
function optionsOf(kind, unit) {
  switch (kind) {
    case 'timeseries':
      return {
        legend: { displayMode: 'list', placement: 'bottom', showLegend: true },
        tooltip: { mode: 'multi', sort: 'desc' },
      };
    case 'stat':
      return {
        colorMode: 'value',
        graphMode: 'none',
        justifyMode: 'auto',
        reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
        textMode: 'auto',
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
  }
}

/** @param {Kind} kind */
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

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  writeFileSync(FILE, `${JSON.stringify(buildDashboard(), null, 2)}\n`);
  execFileSync(process.execPath, [BIOME, 'format', '--write', FILE], { stdio: 'ignore' });
}
