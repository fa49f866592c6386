/** Tests what `status` takes from the admin pages. */
import { expect, test } from 'vitest';
import { collectStatus } from '../../../../src/commands/status/facts.ts';

const NOW = 2_000_000_000;
const METRICS = `
approov_build_info{version="1.2.3"} 1
nodejs_version_info{version="v24.1.0",major="24",minor="1",patch="0"} 1
process_start_time_seconds ${NOW - 90}
approov_checks_in_flight 2
approov_worker_restarts_total 4
approov_policy_mode{policy="default",mode="enforce"} 1
approov_policy_mode{policy="default",mode="observe"} 1
approov_policy_enforce_percent{policy="default"} 10
approov_policy_mode{policy="open",mode="off"} 1
approov_checks_total{policy="default",mode="observe",verdict="unverified",action="allow",reason="token_expired"} 3
approov_checks_total{policy="default",mode="enforce",verdict="unverified",action="deny",reason="token_expired"} 4
approov_checks_total{policy="default",mode="enforce",verdict="unverified",action="deny",reason="binding_mismatch"} 0
approov_checks_total{policy="default",mode="enforce",verdict="verified",action="allow",reason="ok"} 10
approov_checks_total{policy="removed",mode="limit",verdict="unverified",action="limit",reason="invalid_token_signature"} 20
approov_checks_total{policy="unknown",mode="unknown",verdict="unverified",action="deny",reason="unknown_policy"} 1
approov_key_verifications_total{key_id="set"} 10
approov_key_verifications_total{key_id="box"} 0
approov_key_verifications_total{key_id="away"} 0
approov_key_last_used_timestamp_seconds{key_id="set"} ${NOW - 3}
approov_key_last_used_timestamp_seconds{key_id="box"} 0
approov_key_last_used_timestamp_seconds{key_id="away"} 0
approov_reloads_total{source="config",outcome="success"} 1
approov_reloads_total{source="config",outcome="failure"} 2
approov_reloads_total{source="jwks",outcome="success"} 0
approov_reloads_total{source="jwks",outcome="failure"} 5
approov_reload_last_success_timestamp_seconds{source="config"} ${NOW - 60}
approov_reload_last_success_timestamp_seconds{source="jwks"} 0
approov_reload_last_success_timestamp_seconds{source="tls"} 0
`;
const READYZ = JSON.stringify({
  status: 'not ready',
  components: {
    process: 'draining',
    keys: {
      loaded: [
        { id: 'set', kid: 'a', fingerprint: '111111111111' },
        { id: 'set', kid: 'b', fingerprint: '222222222222' },
      ],
      missing: ['away'],
    },
    files: { config: ['config.yaml:1:1: mode: not a mode'], keys: 'ok', jwks: 'ok', tls: 'ok' },
    urls: { away: 'ECONNREFUSED' },
    workers: { 11: 'ready', 12: 'worker exited' },
  },
});
const CONFIG = `
listen: {grpc: 0.0.0.0:9001, tls: {certFile: a}}
defaultPolicy: default
decryptionKeys: [{id: box, fingerprint: "333333333333"}]
messageSigningKeys: [{id: account, fingerprint: "444444444444"}]
`;
const OVERRIDE = {
  policy: 'default',
  mode: 'observe',
  configured_mode: 'enforce',
  reason: 'a reason',
  ends_at: '2033-05-18T04:03:20.000Z',
  seconds_left: 1800,
};
const OVERRIDES = JSON.stringify({ overrides: [{ ...OVERRIDE, started_at: '2033-05-18T03:33:20.000Z' }] });
const PAGES = { metrics: METRICS, readyz: READYZ, config: CONFIG, overrides: OVERRIDES };

test('the status has the facts of all three pages', () => {
  expect(collectStatus(PAGES, NOW)).toEqual({
    version: '1.2.3',
    node: '24.1.0',
    started_at: new Date((NOW - 90) * 1000).toISOString(),
    uptime_seconds: 90,
    ready: false,
    process: 'draining',
    workers: { 11: 'ready', 12: 'worker exited' },
    worker_restarts: 4,
    listener: { grpc: '0.0.0.0:9001', tls: true, certificate_expires_at: null },
    default_policy: 'default',
    policies: [
      { name: 'default', mode: 'enforce', enforce_percent: 10, verified: 10, unverified: 7, skipped: 0 },
      { name: 'open', mode: 'off', enforce_percent: null, verified: 0, unverified: 0, skipped: 0 },
    ],
    overrides: [OVERRIDE],
    keys: [
      {
        id: 'set',
        loaded: true,
        fingerprints: ['111111111111', '222222222222'],
        verifications: 10,
        last_used_at: new Date((NOW - 3) * 1000).toISOString(),
      },
      { id: 'box', loaded: true, fingerprints: ['333333333333'], verifications: 0, last_used_at: null },
      { id: 'away', loaded: false, fingerprints: [], verifications: 0, last_used_at: null },
    ],
    checks: {
      total: 38,
      in_flight: 2,
      verified: 10,
      unverified: 28,
      skipped: 0,
      reasons: { invalid_token_signature: 20, token_expired: 7, unknown_policy: 1 },
      actions: { allow: 13, limit: 20, deny: 5 },
    },
    reloads: [
      {
        source: 'config',
        last_success_at: new Date((NOW - 60) * 1000).toISOString(),
        successes: 1,
        failures: 2,
        problems: ['config.yaml:1:1: mode: not a mode'],
      },
      {
        source: 'jwks',
        last_success_at: null,
        successes: 0,
        failures: 5,
        problems: ['key away: ECONNREFUSED'],
      },
    ],
  });
});

test('an override is known from the metrics alone where its page is not shown', () => {
  const metrics = `${METRICS}
approov_override_active{policy="default",mode="observe"} 0
approov_override_active{policy="default",mode="limit"} 1
`;
  const pages = { ...PAGES, metrics, overrides: 'loopback clients only\n' };
  expect(collectStatus(pages, NOW)?.overrides).toEqual([
    {
      policy: 'default',
      mode: 'limit',
      configured_mode: null,
      reason: null,
      ends_at: null,
      seconds_left: null,
    },
  ]);
});

test('the most frequent reasons come first', () => {
  expect(Object.keys(collectStatus(PAGES, NOW)?.checks.reasons ?? {})).toEqual([
    'invalid_token_signature',
    'token_expired',
    'unknown_policy',
  ]);
});

test('a service that is starting has a status, without what it does not know yet', () => {
  const readyz = JSON.stringify({ status: 'not ready', components: { process: 'starting' } });
  const metrics = 'approov_build_info{version="1.2.3"} 1\n';
  expect(collectStatus({ metrics, readyz, config: '', overrides: '' }, NOW)).toMatchObject({
    ready: false,
    process: 'starting',
    started_at: null,
    uptime_seconds: null,
    node: null,
    listener: null,
    default_policy: null,
    policies: [],
    overrides: [],
    keys: [],
    reloads: [],
  });
});

test.each([
  ['metrics without a version', { ...PAGES, metrics: 'up 1\n' }],
  ['a readiness page that is not JSON', { ...PAGES, readyz: 'ok\n' }],
  ['a readiness page of another service', { ...PAGES, readyz: '{"status": "ok"}' }],
])('%s is not a page of this service', (_name, pages) => {
  expect(collectStatus(pages, NOW)).toBeUndefined();
});

test.each(['loopback clients only\n', 'not: [yaml', 'a: 1'])(
  'a configuration page that reads %j is as if not shown',
  (config) => {
    expect(collectStatus({ ...PAGES, config }, NOW)?.listener).toBeNull();
  },
);

test('a time that no calendar has is as if unknown', () => {
  const metrics = METRICS.replace(
    `process_start_time_seconds ${NOW - 90}`,
    'process_start_time_seconds 1e99',
  );
  expect(collectStatus({ ...PAGES, metrics }, NOW)?.started_at).toBeNull();
});
