/** The dashboard's annotations: what changed, marked in every graph. */
import { CHOSEN, CHOSEN_POLICIES } from './queries.mjs';
import { DATASOURCE } from './variables.mjs';

/** @param {string} matchers */
function reloads(matchers) {
  return `sum by (source) (increase(approov_reloads_total{${CHOSEN}, ${matchers}}[$__rate_interval])) > 0`;
}

const modes = `group by (policy, mode) (approov_policy_mode{${CHOSEN_POLICIES}})`;
const modesBefore = `group by (policy, mode) (approov_policy_mode{${CHOSEN_POLICIES}} offset $__rate_interval)`;

export function annotations() {
  return [
    {
      builtIn: 1,
      datasource: { type: 'grafana', uid: '-- Grafana --' },
      enable: true,
      hide: true,
      iconColor: 'rgba(0, 211, 255, 1)',
      name: 'Annotations & Alerts',
      type: 'dashboard',
    },
    // A JWK Set is fetched every few minutes, which would mark every graph.
    annotation('Reloads', 'green', reloads('outcome="success", source!="jwks"'), {
      title: 'Reloaded {{source}}',
      tags: 'source',
    }),
    annotation('Failed reloads', 'red', reloads('outcome="failure"'), {
      title: 'Could not reload {{source}}',
      text: 'The last good state remains in use.',
      tags: 'source',
    }),
    // A policy that is new is not a change of mode.
    annotation('Mode changes', 'purple', `(${modes} unless ${modesBefore}) and on (policy) ${modesBefore}`, {
      title: 'Policy {{policy}}: mode {{mode}}',
      tags: 'policy,mode',
    }),
    annotation(
      'Critical alerts',
      'orange',
      `group by (alertname, policy, instance) (ALERTS{cluster=~"$cluster", alertname=~"Approov.+", alertstate="firing", severity="critical"})`,
      { title: '{{alertname}}', text: '{{policy}} {{instance}}', tags: 'alertname' },
    ),
  ];
}

/**
 * @param {string} name
 * @param {string} iconColor
 * @param {string} expr
 * @param {{ title: string, text?: string, tags: string }} format templates with {{label}}, and labels separated by commas
 */
function annotation(name, iconColor, expr, { title, text = '', tags }) {
  return {
    name,
    datasource: DATASOURCE,
    enable: true,
    hide: false,
    iconColor,
    target: { refId: 'Anno', expr, interval: '15s', range: true, instant: false },
    titleFormat: title,
    textFormat: text,
    tagKeys: tags,
    useValueForTime: false,
  };
}
