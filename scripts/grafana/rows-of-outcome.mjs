/** The dashboard's rows about the outcome of checks. */
import {
  CHOSEN,
  CHOSEN_POLICIES,
  checkRate,
  unverifiedShare,
  wouldDenyRate,
  wouldDenyShare,
} from './queries.mjs';

const ACTION_COLORS = { allow: 'green', limit: 'orange', deny: 'red' };
/** The thresholds of the alerts on it. */
const UNVERIFIED_SHARE = { unit: 'percentunit', limits: { warn: 0.02, alarm: 0.1 } };
const NO_CHECKS = 'No checks by the selected policies';
const NONE_LENIENT = 'No checks in 5 minutes by a policy in observe or limit';

/** @type {readonly import('./panel.mjs').Row[]} */
export const ROWS_OF_OUTCOME = [
  {
    title: 'Overview',
    panels: [
      {
        kind: 'stat',
        title: 'Checks',
        description: 'Checks per second by the selected policies, including skipped ones.',
        unit: 'reqps',
        width: 6,
        noValue: NO_CHECKS,
        alerts: ['ApproovNoTraffic'],
        queries: [{ expr: checkRate('', '') }],
      },
      {
        kind: 'stat',
        title: 'Unverified share',
        description:
          'Share of checked requests without a valid token, in every mode. Skipped checks do not count. Be able to explain it before you enforce.',
        ...UNVERIFIED_SHARE,
        width: 6,
        noValue: NO_CHECKS,
        alerts: ['ApproovUnverifiedShareHigh', 'ApproovLockOut'],
        queries: [{ expr: unverifiedShare('') }],
      },
      {
        kind: 'stat',
        title: 'Internal errors',
        description: 'Checks in the selected time range that the service failed to decide. Should be 0.',
        unit: 'short',
        width: 6,
        limits: { warn: 1, alarm: 1 },
        noValue: NO_CHECKS,
        alerts: ['ApproovInternalErrors'],
        queries: [
          {
            expr: `sum(increase(approov_checks_total{${CHOSEN_POLICIES}, reason="internal_error"}[$__range]))`,
          },
        ],
      },
      {
        kind: 'stat',
        title: 'Instances',
        description: 'Instances of the service that Prometheus scrapes.',
        unit: 'short',
        width: 6,
        noValue: 'Prometheus scrapes none',
        alerts: ['ApproovServiceAbsent', 'ApproovInstanceDown'],
        queries: [{ expr: `count(approov_build_info{${CHOSEN}})` }],
      },
      {
        kind: 'stat',
        title: 'Would be refused if enforced now',
        description:
          'One number for each policy in mode observe or limit: of the requests that it checked in the last 5 minutes, the share with verdict unverified, which mode enforce denies. Skipped checks do not count. Policies that already enforce, or are off, are not listed.',
        ...UNVERIFIED_SHARE,
        width: 8,
        noValue: NONE_LENIENT,
        alerts: ['ApproovWouldDenySurge', 'ApproovPolicyNotEnforcing'],
        queries: [{ expr: wouldDenyShare, legend: '{{policy}} ({{mode}})' }],
      },
      {
        kind: 'stat',
        title: 'Would be refused per second',
        description:
          'The same requests in numbers: for each policy in mode observe or limit, unverified requests per second in the last 5 minutes.',
        unit: 'reqps',
        width: 6,
        noValue: NONE_LENIENT,
        alerts: ['ApproovWouldDenySurge'],
        queries: [{ expr: wouldDenyRate, legend: '{{policy}} ({{mode}})' }],
      },
      {
        kind: 'alertlist',
        title: 'Alerts',
        description:
          'Firing and pending alerts whose name contains “Approov”, from every data source whose alert rules Grafana may read. The variables above do not filter this list. The details of an alert have a link to the runbook, if its rule was loaded with a base URL.',
        width: 10,
        queries: [],
      },
      {
        kind: 'timeseries',
        title: 'Checks by action',
        description:
          'The response to Envoy: allow, limit (allowed, but marked for the rate limiter) or deny.',
        unit: 'reqps',
        width: 12,
        isStacked: true,
        colors: ACTION_COLORS,
        noValue: NO_CHECKS,
        alerts: ['ApproovLockOut'],
        queries: [{ expr: checkRate('action', ''), legend: '{{action}}' }],
      },
      {
        kind: 'timeseries',
        title: 'Unverified by reason',
        description:
          'Why requests are unverified, in every mode. The page “Reasons” says what to do about each.',
        unit: 'reqps',
        width: 12,
        isStacked: true,
        noValue: 'No unverified requests',
        pages: ['Reasons'],
        alerts: ['ApproovUnverifiedShareHigh'],
        queries: [{ expr: `${checkRate('reason', 'verdict="unverified"')} > 0`, legend: '{{reason}}' }],
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
        ...UNVERIFIED_SHARE,
        width: 10,
        noValue: NO_CHECKS,
        alerts: ['ApproovWouldDenySurge', 'ApproovUnverifiedShareHigh'],
        queries: [{ expr: unverifiedShare('policy'), legend: '{{policy}}' }],
      },
      {
        kind: 'timeseries',
        title: 'Would-deny by policy and reason',
        description: 'Unverified requests that were allowed because the policy does not enforce.',
        unit: 'reqps',
        width: 9,
        isStacked: true,
        noValue: 'No unverified request was allowed',
        pages: ['Reasons'],
        alerts: ['ApproovWouldDenySurge'],
        queries: [
          {
            expr: `${checkRate('policy, reason', 'verdict="unverified", action!="deny"')} > 0`,
            legend: '{{policy}}: {{reason}}',
          },
        ],
      },
      {
        kind: 'table',
        title: 'Mode of each policy',
        description:
          'Instances by policy and mode. Two modes for one policy mean that it enforces a share of devices, or that a change is rolling out.',
        width: 5,
        noValue: 'No policies',
        alerts: ['ApproovPolicyNotEnforcing', 'ApproovPolicySwitchedOff'],
        queries: [{ expr: `sum by (policy, mode) (approov_policy_mode{${CHOSEN_POLICIES}})` }],
      },
    ],
  },
];
