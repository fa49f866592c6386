/** Lists what the panels of the dashboard show after the checks that test/deploy/grafana-queries.test.ts sends. */
import { expect } from 'vitest';

/** What the panels of the service show after the twelve checks. Rates and durations depend on the machine. */
export function expectedPanels(
  instance: string,
): Readonly<Record<string, Readonly<Record<string, unknown>>>> {
  const rate = expect.any(Number);
  return {
    Checks: { '': rate },
    'Unverified share': { '': close(7 / 10) },
    'Internal errors': { '': rate },
    Instances: { '': 1 },
    'Would be refused if enforced now': { 'trial (observe)': close(3 / 4), 'search (limit)': close(1 / 2) },
    'Would be refused per second': { 'trial (observe)': rate, 'search (limit)': rate },
    'Checks by action': { allow: rate, limit: rate, deny: rate },
    'Unverified by reason': {
      internal_error: rate,
      invalid_token_format: rate,
      missing_approov_token: rate,
      token_expired: rate,
      unknown_policy: rate,
    },
    'Unverified share by policy': {
      default: close(1 / 2),
      trial: close(3 / 4),
      search: close(1 / 2),
      unknown: close(1),
    },
    'Would-deny by policy and reason': {
      'trial: missing_approov_token': rate,
      'trial: invalid_token_format': rate,
      'search: token_expired': rate,
    },
    'Mode of each policy': { 'enforce default': 1, 'observe trial': 1, 'limit search': 1, 'off open': 1 },
    // Hours and days are recorded at full hours.
    'Safe to enforce': {},
    'Would-deny share of a day': expect.any(Object),
    'Would-deny share of the worst hour': expect.any(Object),
    'Would-deny share by instance': {
      [`${instance}: default`]: close(1 / 2),
      [`${instance}: trial`]: close(3 / 4),
      [`${instance}: search`]: close(1 / 2),
    },
    'Share of devices enforced': { default: 100 },
    'Checks by mode in effect': expect.objectContaining({
      'default: enforce': rate,
      'trial: observe': rate,
      'search: limit': rate,
      'open: off': rate,
    }),
    Overrides: {},
    'Tokens verified by key': { env: rate },
    'Time since last use': { env: rate },
    'Age of fetched JWK Sets': {},
    'SDK status': { no_network: rate },
    'Share of requests with an SDK status': { no_network: close(11 / 12) },
    'Remaining token lifetime': { p10: rate, p50: rate, p90: rate },
    'Clock skew': { [`${instance}: expired`]: close(1 / 4), [`${instance}: over 5 minutes`]: close(0) },
    'Tokens by remaining lifetime': expect.objectContaining({ '-60': rate, '+Inf': rate }),
    'Failed signatures': {},
    'Replay store errors': { [instance]: 0 },
    'Unchecked digests': { [instance]: 0 },
    'Hit ratio': { [instance]: close(2 / 6) },
    Lookups: { hit: rate, miss: rate },
    'Check duration': { p50: rate, p90: rate, p99: rate },
    'Checks by duration': expect.objectContaining({ '+Inf': rate, '0.001': rate }),
    'In flight': { 'in flight': 0 },
    'Abandoned checks': { cancelled: 0, deadline: 0 },
    'Ambiguous requests': { path: 0, host: 0 },
    Reloads: {},
    'Time since the last successful load': { config: rate, keys: rate },
    CPU: { [instance]: rate },
    Memory: { [instance]: rate, [`${instance} heap`]: rate },
    'Event loop delay': { [instance]: rate },
    'Garbage collection': expect.any(Object),
    'Open files': { [instance]: rate },
    Restarts: { [instance]: 0, [`${instance} workers`]: 0 },
    'Suppressed log lines': {},
    Versions: expect.any(Object),
  };
}

export function close(value: number): unknown {
  return expect.closeTo(value, 6);
}
