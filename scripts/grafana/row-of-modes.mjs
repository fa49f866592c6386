/** The dashboard's row about modes that differ between devices or for a while. */
import { CHOSEN_POLICIES, checkRate } from './queries.mjs';

/** @type {import('./panel.mjs').Row} */
export const ROW_OF_MODES = {
  title: 'Shares and overrides',
  panels: [
    {
      kind: 'timeseries',
      title: 'Share of devices enforced',
      description: 'As configured by enforcePercent; the smallest of all instances.',
      unit: 'percent',
      width: 8,
      noValue: 'No policy enforces',
      alerts: ['ApproovPolicyNotEnforcing'],
      queries: [
        {
          expr: `min by (policy) (approov_policy_enforce_percent{${CHOSEN_POLICIES}})`,
          legend: '{{policy}}',
        },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Checks by mode in effect',
      description: 'The mode is that of the device, and that of an override while it is active.',
      unit: 'reqps',
      width: 8,
      isStacked: true,
      noValue: 'No checks',
      queries: [{ expr: checkRate('policy, mode', ''), legend: '{{policy}}: {{mode}}' }],
    },
    {
      kind: 'timeseries',
      title: 'Overrides',
      description: 'Instances on which an override is active, and overrides set in 5 minutes.',
      unit: 'short',
      width: 8,
      noValue: 'No override is active',
      alerts: ['ApproovOverrideActive'],
      queries: [
        {
          expr: `sum by (policy, mode) (approov_override_active{${CHOSEN_POLICIES}}) > 0`,
          legend: '{{policy}}: {{mode}}, active',
        },
        {
          expr: `sum by (policy, mode) (increase(approov_overrides_total{${CHOSEN_POLICIES}}[5m])) > 0`,
          legend: '{{policy}}: {{mode}}, set',
        },
      ],
    },
  ],
};
