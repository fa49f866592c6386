/** The dashboard's variables. */

export const DATASOURCE = { type: 'prometheus', uid: '$datasource' };

/** A placeholder, as in the runbook: `sed` or the dashboard's settings replace it. */
const DOCS_URL = 'https://git.example.com/approov-ext-authz/blob/main/docs';

const INSTANCES = [
  'approov_build_info{cluster=~"$cluster", namespace=~"$namespace", job=~"$job"}',
  'instance:envoy_ext_authz_ok:increase5m{cluster=~"$cluster"}',
].map((selector) => `group by (instance) (last_over_time(${selector}[$__range]))`);

export function variables() {
  return [
    {
      name: 'datasource',
      label: 'Data source',
      type: 'datasource',
      query: 'prometheus',
      hide: 0,
    },
    variable('cluster', 'Cluster', 'label_values(approov_build_info, cluster)'),
    variable('namespace', 'Namespace', 'label_values(approov_build_info{cluster=~"$cluster"}, namespace)'),
    variable(
      'job',
      'Job',
      'label_values(approov_build_info{cluster=~"$cluster", namespace=~"$namespace"}, job)',
    ),
    {
      ...variable('instance', 'Instance', `query_result(${INSTANCES.join(' or ')})`),
      regex: '/instance="([^"]+)"/',
      description: 'Instances of the service, and Envoys for the row “Envoy”.',
    },
    variable(
      'policy',
      'Policy',
      'label_values(approov_checks_total{cluster=~"$cluster", namespace=~"$namespace", job=~"$job"}, policy)',
    ),
    {
      name: 'docs',
      label: 'Documentation',
      description: 'The base URL of the links to the documentation.',
      type: 'constant',
      query: DOCS_URL,
      current: { selected: true, text: DOCS_URL, value: DOCS_URL },
      // Neither the label nor the value is shown.
      hide: 2,
      skipUrlSync: true,
    },
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
    // Also matches targets without the label: a single Prometheus has no cluster, and outside Kubernetes there is no namespace.
    allValue: '.*',
    current: { selected: true, text: ['All'], value: ['$__all'] },
    hide: 0,
  };
}
