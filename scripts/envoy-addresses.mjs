/** Replaces the addresses in an Envoy configuration. */
import { EnvoyError } from './find-envoy.mjs';

/**
 * Returns the configuration with its addresses replaced and nothing else changed.
 * @param {unknown} config
 * @param {Readonly<Record<string, string | readonly string[]>>} addresses for each `host:port` of the configuration,
 *   its replacement, or several, each of which becomes an endpoint.
 * @returns {unknown}
 * @throws {EnvoyError} if an address is not replaced, or a replacement is not used.
 */
export function relocate(config, addresses) {
  const unused = new Set(Object.keys(addresses));

  /** @param {unknown} socketAddress */
  const targetsOf = (socketAddress) => {
    const { address, port_value: port } = /** @type {Record<string, unknown>} */ (socketAddress);
    const target = addresses[`${address}:${port}`];
    if (target === undefined) throw new EnvoyError(`no replacement for the address ${address}:${port}`);
    unused.delete(`${address}:${port}`);
    return [target].flat();
  };

  /**
   * @param {unknown} node
   * @param {number} index which of several targets
   * @returns {unknown}
   */
  const walk = (node, index) => {
    if (Array.isArray(node)) return node.map((item) => walk(item, index));
    if (!isObject(node)) return node;
    return Object.fromEntries(
      Object.entries(node).map(([key, value]) => {
        if (key === 'socket_address') return [key, socketAddress(targetsOf(value)[index])];
        if (key === 'lb_endpoints') return [key, value.flatMap(repeat)];
        return [key, walk(value, index)];
      }),
    );
  };

  /** @param {{ endpoint: { address: { socket_address: unknown } } }} lbEndpoint */
  const repeat = (lbEndpoint) =>
    targetsOf(lbEndpoint.endpoint.address.socket_address).map((_, index) => walk(lbEndpoint, index));

  const relocated = walk(config, 0);
  if (unused.size > 0)
    throw new EnvoyError(`addresses that are not in the configuration: ${[...unused].join(', ')}`);
  return relocated;
}

/** @param {string | undefined} target */
function socketAddress(target = '') {
  const colon = target.lastIndexOf(':');
  return { address: target.slice(0, colon), port_value: Number(target.slice(colon + 1)) };
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, any>}
 */
function isObject(value) {
  return typeof value === 'object' && value !== null;
}
