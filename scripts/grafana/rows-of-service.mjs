/** The dashboard's rows about latency, reloads and the process. */
import { buckets, CHOSEN, quantiles } from './queries.mjs';

const NO_CHECKS = 'No checks';

/** @type {readonly import('./panel.mjs').Row[]} */
export const ROWS_OF_SERVICE = [
  {
    title: 'Latency',
    panels: [
      {
        kind: 'timeseries',
        title: 'Check duration',
        description:
          'From the received message to the written response, without the network. The line at 10 ms is the threshold of an alert on the p99.',
        unit: 's',
        width: 8,
        limits: { warn: 0.01, alarm: 0.01 },
        noValue: NO_CHECKS,
        alerts: ['ApproovCheckLatencyHigh'],
        queries: quantiles('approov_check_duration_seconds', [0.5, 0.9, 0.99]),
      },
      {
        kind: 'heatmap',
        title: 'Checks by duration',
        description: 'Distribution of check durations.',
        unit: 's',
        width: 8,
        noValue: NO_CHECKS,
        queries: [buckets('approov_check_duration_seconds')],
      },
      {
        kind: 'timeseries',
        title: 'In flight',
        description: 'Checks in progress. If it keeps rising, the service cannot keep up.',
        unit: 'short',
        width: 8,
        alerts: ['ApproovEventLoopDelayed'],
        queries: [{ expr: `sum(approov_checks_in_flight{${CHOSEN}})`, legend: 'in flight' }],
      },
      {
        kind: 'timeseries',
        title: 'Abandoned checks',
        description:
          'Checks per second that Envoy abandoned before the service answered: their deadline passed, or Envoy cancelled them because its own client disconnected.',
        unit: 'reqps',
        width: 12,
        alerts: ['ApproovChecksAbandoned'],
        queries: [
          {
            expr: `sum by (cause) (rate(approov_checks_abandoned_total{${CHOSEN}}[$__rate_interval]))`,
            legend: '{{cause}}',
          },
        ],
      },
      {
        kind: 'timeseries',
        title: 'Ambiguous requests',
        description:
          'Requests per second whose path or host upstreams may read in different ways. The strictest policy that could apply checks them.',
        unit: 'reqps',
        width: 12,
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
    title: 'Reloads',
    panels: [
      {
        kind: 'timeseries',
        title: 'Reloads',
        description:
          'Reloads of changed files, and fetches of JWK Sets. After a failure the last good state remains in use.',
        unit: 'short',
        width: 12,
        noValue: 'No reloads',
        alerts: ['ApproovReloadFailing'],
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
        description:
          'By source, of the instance that is furthest behind. Files are loaded again only when they change, so a long time is normal for them.',
        unit: 's',
        width: 12,
        noValue: 'Nothing has been loaded',
        alerts: ['ApproovReloadFailing', 'ApproovKeysNeverLoaded'],
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
          'The 99th percentile. An idle process shows about 10 ms, the resolution of the measurement. The line at 100 ms is the threshold of an alert.',
        unit: 's',
        width: 8,
        limits: { warn: 0.1, alarm: 0.1 },
        alerts: ['ApproovEventLoopDelayed'],
        queries: [{ expr: `nodejs_eventloop_lag_p99_seconds{${CHOSEN}}`, legend: '{{instance}}' }],
      },
      {
        kind: 'timeseries',
        title: 'Garbage collection',
        description: 'Share of time spent, by kind, averaged over the instances.',
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
          { expr: `process_open_fds{${CHOSEN}} / process_max_fds{${CHOSEN}}`, legend: '{{instance}}' },
        ],
      },
      {
        kind: 'timeseries',
        title: 'Restarts',
        description: 'Restarts of the process and of its workers within an hour.',
        unit: 'short',
        width: 8,
        alerts: ['ApproovRestarting'],
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
        unit: 'cps',
        width: 16,
        noValue: 'None suppressed',
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
        noValue: 'Prometheus scrapes no instance',
        queries: [{ expr: `count by (version) (approov_build_info{${CHOSEN}})` }],
      },
    ],
  },
];
