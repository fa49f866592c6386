/** Tests how `status` lays out what it found. */
import { readFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { Status } from '../../../../src/commands/status/facts.ts';
import { layOutStatus } from '../../../../src/commands/status/layout.ts';
import { paintFor } from '../../../../src/commands/terminal.ts';

const NOW = 2_000_000_000;

function ago(seconds: number): string {
  return new Date((NOW - seconds) * 1000).toISOString();
}

const STATUS: Status = {
  version: '1.2.3',
  node: '24.1.0',
  started_at: ago(11_520),
  uptime_seconds: 11_520,
  ready: true,
  process: 'serving',
  workers: {},
  worker_restarts: 0,
  listener: { grpc: '0.0.0.0:9001', tls: false, certificate_expires_at: null },
  default_policy: 'default',
  policies: [
    { name: 'default', mode: 'enforce', enforce_percent: 100, verified: 12_003, unverified: 1, skipped: 0 },
    { name: 'open', mode: 'off', enforce_percent: null, verified: 0, unverified: 0, skipped: 0 },
  ],
  overrides: [],
  keys: [
    {
      id: 'current',
      loaded: true,
      fingerprints: ['111111111111'],
      verifications: 12_003,
      last_used_at: ago(3),
    },
    { id: 'next', loaded: true, fingerprints: ['222222222222'], verifications: 0, last_used_at: null },
  ],
  checks: {
    total: 12_004,
    in_flight: 2,
    verified: 12_003,
    unverified: 1,
    skipped: 0,
    reasons: { token_expired: 1 },
    actions: { allow: 12_003, limit: 0, deny: 1 },
  },
  reloads: [
    { source: 'config', last_success_at: ago(7200), successes: 1, failures: 0, problems: [] },
    { source: 'keys', last_success_at: ago(11_519), successes: 0, failures: 0, problems: [] },
  ],
};

function layOut(changes: Partial<Status> = {}, hasColors = false): readonly string[] {
  const options = { admin: '127.0.0.1:9002', nowSeconds: NOW, paint: paintFor({ hasColors }) };
  return layOutStatus({ ...STATUS, ...changes }, options);
}

/** The lines of a section, without its title. */
function section(title: string, changes: Partial<Status>): readonly string[] {
  const lines = layOut(changes);
  const start = lines.findIndex((line) => line.startsWith(title)) + 1;
  const end = lines.indexOf('', start);
  return lines.slice(start, end === -1 ? undefined : end);
}

test('the mode of a policy has its share of devices unless that is all of them', () => {
  const checks = { verified: 0, unverified: 0, skipped: 0 };
  const policies = [
    { name: 'ramp', mode: 'enforce', enforce_percent: 12.5, ...checks },
    { name: 'none', mode: 'enforce', enforce_percent: 0, ...checks },
  ];
  expect(section('Policies', { policies })).toEqual([
    '  policy  mode            checks  verified  unverified',
    '  ramp    enforce 12.5 %       0         -           -',
    '  none    enforce 0 %          0         -           -',
    '  default policy: default',
  ]);
});

test('an override is below the policies, with its time and reason where they are known', () => {
  const override = {
    policy: 'default',
    mode: 'observe',
    configured_mode: 'enforce',
    reason: 'checkout is locked out, INC-4711',
    ends_at: ago(-1798),
    seconds_left: 1798,
  };
  const unknown = { configured_mode: null, reason: null, ends_at: null, seconds_left: null };
  const overrides = [override, { ...unknown, policy: 'open', mode: 'limit' }];
  expect(section('Policies', { overrides }).slice(3)).toEqual([
    '  override: policy default is in mode observe for another 29 min 58 s, then',
    '    enforce as configured; reason: checkout is locked out, INC-4711',
    '  override: policy open is in mode limit',
    '  default policy: default',
  ]);
});

test('status of a healthy service has every table', () => {
  expect(layOut().join('\n')).toBe(`approov-ext-authz 1.2.3, up 3 h 12 min, Node 24.1.0
  ready        yes
  process      serving
  keys         2 loaded
  sources      ok
  gRPC         0.0.0.0:9001
  admin        127.0.0.1:9002

Policies
  policy   mode     checks  verified  unverified
  default  enforce  12,004   >99.9 %      <0.1 %
  open     off           0         -           -
  default policy: default

Keys
  key      fingerprint   verifications         last use
  current  111111111111         12,003          3 s ago
  next     222222222222              0  not since start

Checks since start: 12,004 (2 in flight)
  outcome          checks    share
  verified         12,003  >99.9 %
  unverified            1   <0.1 %
    token_expired       1   <0.1 %
  skipped               0      0 %
  action allow     12,003  >99.9 %
  action limit          0      0 %
  action deny           1   <0.1 %

Reloads
  source     last loaded  reloads  failures
  config   2 h 0 min ago        1         0
  keys    3 h 11 min ago        0         0`);
});

test('status of a service without checks says so', () => {
  const none = { total: 0, in_flight: 0, verified: 0, unverified: 0, skipped: 0, reasons: {} };
  const checks = { ...none, actions: { allow: 0, limit: 0, deny: 0 } };
  expect(layOut({ checks })).toContain('Checks since start: none (0 in flight)');
  expect(section('Checks', { checks })).toEqual([]);
});

describe('the state of a service', () => {
  const state = (changes: Partial<Status>): readonly string[] => section('approov-ext-authz', changes);

  test('that is not ready names the keys that are not loaded and the sources that failed', () => {
    const keys = [
      ...STATUS.keys,
      { id: 'away', loaded: false, fingerprints: [], verifications: 0, last_used_at: null },
    ];
    const reloads = STATUS.reloads.map((reload) => ({ ...reload, problems: ['unreadable'] }));
    expect(state({ ready: false, process: 'draining', keys, reloads })).toEqual([
      '  ready        no',
      '  process      draining',
      '  keys         2 loaded, not loaded: away',
      '  sources      failing: config, keys',
      '  gRPC         0.0.0.0:9001',
      '  admin        127.0.0.1:9002',
    ]);
    expect(section('Keys', { keys })).toEqual([
      '  key      fingerprint   verifications         last use',
      '  current  111111111111         12,003          3 s ago',
      '  next     222222222222              0  not since start',
      '  away     not loaded                0  not since start',
    ]);
  });

  test('with workers counts them by state', () => {
    const workers = { 1: 'ready', 2: 'worker exited', 3: 'ready' };
    expect(state({ workers, worker_restarts: 1 })).toContain(
      '  workers      2 ready, 1 worker exited; 1 restart',
    );
    expect(state({ workers: { 1: 'ready' } })).toContain('  workers      1 ready; 0 restarts');
    expect(state({ process: null })).toContain('  process      not running');
  });

  test.each([
    ['in 40 days', ago(-40 * 86_400), 'expires in 40 d 0 h, on 2033-06-27 03:33 UTC'],
    ['in an hour', ago(-3600), 'expires in 1 h 0 min, on 2033-05-18 04:33 UTC'],
    ['that has expired', ago(60), 'expired on 2033-05-18 03:32 UTC'],
    ['that cannot be read', null, 'cannot be read'],
  ])('with a certificate %s', (_name, expiry, text) => {
    const listener = { grpc: '0.0.0.0:9001', tls: true, certificate_expires_at: expiry };
    expect(state({ listener })).toContain(`  certificate  ${text}`);
  });

  test('that does not show its configuration lacks what only that says', () => {
    const lines = layOut({ listener: null, default_policy: null });
    expect(lines).toContain('  gRPC         not shown: /config answers loopback clients only');
    expect(lines.join('\n')).not.toContain('default policy');
  });
});

test('a JWK Set has a line for each fingerprint', () => {
  const [current, ...others] = STATUS.keys;
  if (current === undefined) throw new Error('no key');
  const keys = [{ ...current, fingerprints: ['111111111111', '333333333333'] }, ...others];
  expect(section('Keys', { keys }).slice(1)).toEqual([
    '  current  111111111111         12,003          3 s ago',
    '           333333333333',
    '  next     222222222222              0  not since start',
  ]);
});

test('the problems of a reload are below the table, wrapped', () => {
  const problem = `config.yaml:4:11: policies.default.mode: "observer" is not a mode; did you mean "observe"? (off, observe, limit, enforce)`;
  const reloads = [
    { source: 'config', last_success_at: ago(60), successes: 0, failures: 1, problems: [problem] },
  ];
  expect(section('Reloads', { reloads })).toEqual([
    '  source    last loaded  reloads  failures',
    '  config  1 min 0 s ago        0         1',
    '  config: config.yaml:4:11: policies.default.mode: "observer" is not a mode;',
    '    did you mean "observe"? (off, observe, limit, enforce)',
  ]);
});

const NAME = 'a'.repeat(32);
const COUNT = 9_999_999_990;
const LONGEST: Partial<Status> = {
  ready: false,
  workers: { 1: 'worker failed to start: invalid configuration', 2: 'worker killed', 3: 'ready' },
  worker_restarts: COUNT,
  listener: { grpc: '0.0.0.0:9001', tls: true, certificate_expires_at: ago(-3600) },
  default_policy: NAME,
  policies: [
    { name: NAME, mode: 'enforce', enforce_percent: 100, verified: COUNT, unverified: 9, skipped: 0 },
  ],
  keys: [
    {
      id: NAME,
      loaded: true,
      fingerprints: ['111111111111'],
      verifications: COUNT,
      last_used_at: ago(359_999),
    },
  ],
  checks: {
    ...STATUS.checks,
    total: COUNT,
    verified: COUNT,
    reasons: { unsupported_token_algorithm: COUNT },
  },
};

test('the longest names and counts fit into 80 columns', () => {
  const lines = layOut(LONGEST);
  expect(lines).toContain('  workers      1 worker failed to start: invalid configuration, 1 worker killed,');
  expect(lines).toContain('               1 ready; 9,999,999,990 restarts');
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
});

test('colours mark what needs attention, and take no room', () => {
  const away = { id: 'away', loaded: false, fingerprints: [], verifications: 0, last_used_at: null };
  const changes = { ready: false, keys: [away, ...STATUS.keys] };
  const lines = layOut(changes, true);
  expect(lines).toContain('  ready        \u001b[31mno\u001b[39m');
  expect(lines.map(stripVTControlCharacters)).toEqual(layOut(changes));
  expect(layOut().join('')).not.toContain('\u001b');
});

test('the example in docs/commands.md is what status prints', () => {
  const page = readFileSync(new URL('../../../../docs/commands.md', import.meta.url), 'utf8');
  const [, example] = /approov-ext-authz status\n(approov-ext-authz .*?)```/s.exec(page) ?? [];
  const current = { id: 'current', fingerprint: '0304b17bc894', verifications: 11_802, last_used_at: ago(3) };
  const next = { id: 'next', fingerprint: '538f92ff6841', verifications: 0, last_used_at: null };
  const lines = layOut({
    version: '0.1.0',
    node: '24.14.0',
    policies: [
      {
        name: 'default',
        mode: 'observe',
        enforce_percent: null,
        verified: 11_704,
        unverified: 300,
        skipped: 0,
      },
      { name: 'open', mode: 'off', enforce_percent: null, verified: 0, unverified: 0, skipped: 310 },
    ],
    keys: [current, next].map(({ fingerprint, ...key }) => ({
      ...key,
      loaded: true,
      fingerprints: [fingerprint],
    })),
    checks: {
      total: 12_314,
      in_flight: 1,
      verified: 11_704,
      unverified: 300,
      skipped: 310,
      reasons: { missing_approov_token: 202, token_expired: 98 },
      actions: { allow: 12_314, limit: 0, deny: 0 },
    },
    reloads: [
      { source: 'config', last_success_at: ago(7200), successes: 1, failures: 0, problems: [] },
      { source: 'keys', last_success_at: ago(11_520), successes: 0, failures: 0, problems: [] },
    ],
  });
  expect(example).toBe(`${lines.join('\n')}\n`);
});
