/** The dashboard's row about what Envoy sees of the service. */
import { CHOSEN_ENVOYS } from './queries.mjs';

const NO_ENVOY =
  'No Envoy matches: select All or an Envoy under Instance, and let Prometheus scrape Envoy and load the recording rules';

/** @type {import('./panel.mjs').Row} */
export const ROW_OF_ENVOY = {
  title: 'Envoy',
  panels: [
    {
      kind: 'timeseries',
      title: 'Failed checks',
      description:
        'By Envoy, in 5 minutes: failed checks, and requests allowed nevertheless (failure_mode_allow). From recording rules in deploy/prometheus/rules.yaml.',
      unit: 'short',
      width: 8,
      noValue: NO_ENVOY,
      alerts: ['ApproovEnvoyErrors', 'ApproovEnvoyFailsOpen'],
      queries: [
        {
          expr: `instance:envoy_ext_authz_error:increase5m{${CHOSEN_ENVOYS}} >= 0`,
          legend: '{{instance}}: failed',
        },
        {
          expr: `instance:envoy_ext_authz_failure_mode_allowed:increase5m{${CHOSEN_ENVOYS}} >= 0`,
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
      noValue: NO_ENVOY,
      alerts: ['ApproovEnvoyDenialsHigh'],
      queries: [
        {
          expr: `instance:envoy_ext_authz_denied:increase5m{${CHOSEN_ENVOYS}} >= 0`,
          legend: '{{instance}}: denied',
        },
        { expr: `instance:envoy_ext_authz_ok:increase5m{${CHOSEN_ENVOYS}} >= 0`, legend: '{{instance}}: ok' },
      ],
    },
    {
      kind: 'timeseries',
      title: 'Healthy instances',
      description: 'As seen by each Envoy, in clusters whose name contains “approov”.',
      unit: 'short',
      width: 8,
      noValue: NO_ENVOY,
      alerts: ['ApproovEnvoySeesUnhealthy'],
      queries: [
        {
          expr: `sum by (instance, envoy_cluster_name) ({${CHOSEN_ENVOYS}, __name__=~"envoy_cluster_(.+_)?membership_healthy", envoy_cluster_name=~".*approov.*"})`,
          legend: '{{instance}}: {{envoy_cluster_name}}',
        },
      ],
    },
  ],
};
