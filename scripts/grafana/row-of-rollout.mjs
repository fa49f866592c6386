/** The dashboard's row about the step to enforce, by the recording rules of the rollout. */
import { CHOSEN_POLICIES } from './queries.mjs';

/** Recorded series are of all instances. */
const RECORDED = CHOSEN_POLICIES.replace(', instance=~"$instance"', '');
const NOT_RECORDED = 'Not recorded: there is no answer until a day after the rules were loaded';
const PAGES = ['Rollout'];

/** @type {import('./panel.mjs').Row} */
export const ROW_OF_ROLLOUT = {
  title: 'Rollout',
  panels: [
    {
      kind: 'stat',
      title: 'Safe to enforce',
      description:
        'What `approov-ext-authz rollout --prometheus` says of each policy with the default thresholds. A policy that is not here cannot be judged: there is too little traffic or time, or a reload fails.',
      width: 8,
      words: { 0: { text: 'not yet', color: 'red' }, 1: { text: 'safe', color: 'green' } },
      noValue: 'No policy can be judged',
      pages: PAGES,
      queries: [
        {
          expr: `min by (policy) (job_policy:approov_rollout_safe:bool{${RECORDED}})`,
          legend: '{{policy}}',
        },
      ],
    },
    {
      kind: 'stat',
      title: 'Would-deny share of a day',
      description:
        'Of the requests that were checked in the last day, the share that enforce denies or would deny. Safe is at most 0.1 %.',
      unit: 'percentunit',
      limits: { warn: 0.001, alarm: 0.01 },
      width: 8,
      noValue: NOT_RECORDED,
      pages: PAGES,
      queries: [
        {
          expr: `sum by (policy) (job_policy:approov_checks_unverified:increase1d{${RECORDED}}) / (sum by (policy) (job_policy:approov_checks_judged:increase1d{${RECORDED}}) > 0)`,
          legend: '{{policy}}',
        },
      ],
    },
    {
      kind: 'stat',
      title: 'Would-deny share of the worst hour',
      description:
        'The largest share in any hour of the last day that had at least 1 % of the traffic. Safe is at most 1 %.',
      unit: 'percentunit',
      limits: { warn: 0.01, alarm: 0.05 },
      width: 8,
      noValue: NOT_RECORDED,
      pages: PAGES,
      queries: [
        {
          expr: `max by (policy) (job_policy:approov_checks_unverified:ratio_worst_hour1d{${RECORDED}})`,
          legend: '{{policy}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Would-deny share by instance',
      description:
        'What the page /rollout of each instance shows: the share of its own checks in the last 24 hours that enforce denies or would deny. Instances that differ much get different traffic, or have a wrong clock.',
      unit: 'percentunit',
      width: 24,
      noValue: 'No checks by the selected policies',
      pages: PAGES,
      queries: [
        {
          expr: `approov_rollout_would_deny_ratio{${CHOSEN_POLICIES}, window="24h"}`,
          legend: '{{instance}}: {{policy}}',
        },
      ],
    },
  ],
};
