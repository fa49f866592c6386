/** Takes the HTTP filters of a sample for Envoy, to measure what the sample costs. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** The cluster of the service in the samples. */
const SAMPLE_CLUSTER = 'approov_authz';
const ROUTER = 'envoy.filters.http.router';

/**
 * The filters before the router, which ask another cluster, wait longer, and verify with other keys.
 * @param {string} sample relative to the top folder
 * @param {{ cluster: string, jwks: string, timeout: string }} replacements
 * @returns {unknown[]}
 */
export function sampleFilters(sample, replacements) {
  const config = parse(readFileSync(new URL(`../${sample}`, import.meta.url), 'utf8'));
  const [{ filter_chains: chains }] = config.static_resources.listeners;
  const filters = chains[0].filters[0].typed_config.http_filters;
  return filters
    .filter((/** @type {{ name: string }} */ { name }) => name !== ROUTER)
    .map((/** @type {unknown} */ filter) => replaced(filter, replacements));
}

/**
 * @param {unknown} node
 * @param {{ cluster: string, jwks: string, timeout: string }} replacements
 * @returns {unknown}
 */
function replaced(node, replacements) {
  if (Array.isArray(node)) return node.map((item) => replaced(item, replacements));
  if (typeof node !== 'object' || node === null) return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => {
      if (key === 'cluster_name' && value === SAMPLE_CLUSTER) return [key, replacements.cluster];
      // Up to Envoy 1.40, it also limits a try.
      if (key === 'max_interval') return [key, replacements.timeout];
      if (key === 'local_jwks') return [key, { inline_string: replacements.jwks }];
      if (key === 'grpc_service') {
        const { initial_metadata: _perTryTimeout, ...service } = value;
        return [
          key,
          { .../** @type {object} */ (replaced(service, replacements)), timeout: replacements.timeout },
        ];
      }
      return [key, replaced(value, replacements)];
    }),
  );
}
