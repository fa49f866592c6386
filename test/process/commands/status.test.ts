/** Tests `status` against a running service: what it shows, as text and as JSON, and what it says if it cannot ask. */
import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Options } from '../../../src/commands/command.ts';
import { status } from '../../../src/commands/status.ts';
import { VERSION } from '../../../src/version.ts';
import { createCa, issueCertificate } from '../../support/certificate.ts';
import { type CheckedService, createScratch, startChecked } from '../../support/checked-service.ts';
import { startPeer } from '../../support/peer.ts';
import { runCli } from '../../support/process.ts';
import {
  fingerprint,
  freshToken,
  mintToken,
  OTHER_SECRET,
  OTHER_SECRET_BYTES,
  SECRET,
  SECRET_BYTES,
} from '../../support/token.ts';

const scratch = createScratch('status');
let service: CheckedService;

beforeAll(async () => {
  service = await startChecked(scratch, {
    keys: [
      { id: 'current', secretFile: scratch.write('current', SECRET) },
      { id: 'next', secretFile: scratch.write('next', OTHER_SECRET) },
    ],
    policies: { default: { mode: 'observe' }, strict: { mode: 'enforce' }, open: { mode: 'off' } },
    routes: [
      { pathPrefix: '/strict', policy: 'strict' },
      { pathPrefix: '/open', policy: 'open' },
    ],
  });
  const expired = mintToken({ exp: 1000 });
  for (const token of [freshToken(), freshToken(), freshToken(), expired, expired, undefined])
    await service.ask(token);
  await service.ask(undefined, { path: '/strict/a' });
  await service.ask(undefined, { path: '/open/a' });
});
afterAll(async () => {
  await service.kill();
  scratch.remove();
});

/** Runs the command in this process. */
async function run(args: readonly string[], env: Readonly<Record<string, string>>, hasColors = false) {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await status.run(new Options(args, status.options), {
    env,
    out: (text) => out.push(text),
    err: (text) => err.push(text),
    isTerminal: hasColors,
    hasColors,
    nowSeconds: () => Date.now() / 1000,
    readStdin: () => Promise.reject(),
    stopRequested: () => Promise.reject(),
    requestStop: () => undefined,
    enterServiceMode: () => undefined,
    onReloadSignal: () => undefined,
  });
  return { code, out: out.join('\n'), err };
}

/** Times and addresses differ from run to run. */
function normalise(text: string): string {
  return text
    .replaceAll(/ +\d+ s ago/g, ' N s ago')
    .replace(/up \d+ s,/, 'up N s,')
    .replaceAll(/"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"/g, '"TIME"')
    .replace(/"uptime_seconds": \d+/, '"uptime_seconds": 0')
    .replace(service.admin, 'ADMIN');
}

/** The environment that makes `status` ask this address. */
function asking(admin: string): Readonly<Record<string, string>> {
  return { APPROOV_ADMIN_LISTEN: admin };
}

test('status shows the policies, keys, checks and reloads of a running service', async () => {
  const { code, stdout, stderr } = await runCli(
    ['status', '--config', service.configFile],
    asking(service.admin),
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(normalise(stdout)).toBe(`approov-ext-authz ${VERSION}, up N s, Node ${process.versions.node}
  ready        yes
  process      serving
  keys         2 loaded
  sources      ok
  gRPC         127.0.0.1:0
  admin        ADMIN

Policies
  policy   mode     checks  verified  unverified
  default  observe       6    50.0 %      50.0 %
  strict   enforce       1       0 %       100 %
  open     off           1       0 %         0 %
  default policy: default

Keys
  key      fingerprint   verifications         last use
  current  ${fingerprint(SECRET_BYTES)}              5 N s ago
  next     ${fingerprint(OTHER_SECRET_BYTES)}              0  not since start

Checks since start: 8 (0 in flight)
  outcome                  checks   share
  verified                      3  37.5 %
  unverified                    4  50.0 %
    missing_approov_token       2  25.0 %
    token_expired               2  25.0 %
  skipped                       1  12.5 %
  action allow                  7  87.5 %
  action limit                  0     0 %
  action deny                   1  12.5 %

Reloads
  source  last loaded  reloads  failures
  config N s ago        0         0
  keys N s ago        0         0
`);
});

test('status --json has the same facts', async () => {
  const { code, out, err } = await run(['--json'], asking(service.admin));
  expect({ code, err }).toEqual({ code: 0, err: [] });
  const none = { successes: 0, failures: 0, problems: [] };
  expect(JSON.parse(normalise(out))).toEqual({
    admin: 'ADMIN',
    version: VERSION,
    node: process.versions.node,
    started_at: 'TIME',
    uptime_seconds: 0,
    ready: true,
    process: 'serving',
    workers: {},
    worker_restarts: 0,
    listener: { grpc: '127.0.0.1:0', tls: false, certificate_expires_at: null },
    default_policy: 'default',
    policies: [
      { name: 'default', mode: 'observe', enforce_percent: null, verified: 3, unverified: 3, skipped: 0 },
      { name: 'strict', mode: 'enforce', enforce_percent: 100, verified: 0, unverified: 1, skipped: 0 },
      { name: 'open', mode: 'off', enforce_percent: null, verified: 0, unverified: 0, skipped: 1 },
    ],
    overrides: [],
    keys: [
      {
        id: 'current',
        loaded: true,
        fingerprints: [fingerprint(SECRET_BYTES)],
        verifications: 5,
        last_used_at: 'TIME',
      },
      {
        id: 'next',
        loaded: true,
        fingerprints: [fingerprint(OTHER_SECRET_BYTES)],
        verifications: 0,
        last_used_at: null,
      },
    ],
    checks: {
      total: 8,
      in_flight: 0,
      verified: 3,
      unverified: 4,
      skipped: 1,
      reasons: { missing_approov_token: 2, token_expired: 2 },
      actions: { allow: 7, limit: 0, deny: 1 },
    },
    reloads: [
      { source: 'config', last_success_at: 'TIME', ...none },
      { source: 'keys', last_success_at: 'TIME', ...none },
    ],
  });
});

describe('of a service with mTLS, status', () => {
  const ca = createCa(scratch.folder, 'ca');
  const { certFile, keyFile, cert } = issueCertificate(scratch.folder, 'server', ca);
  let secure: CheckedService;
  beforeAll(async () => {
    secure = await startChecked(
      scratch,
      {
        keys: [{ id: 'current', secretFile: scratch.path('current') }],
        listen: {
          // Port 0 would leave nothing to connect to: the listener is shown as configured.
          grpc: `unix:${scratch.path('grpc.sock')}`,
          tls: { certFile, keyFile, clientCaFile: ca.certFile },
        },
      },
      { APPROOV_GRPC_LISTEN: '', APPROOV_ADMIN_LISTEN: '0.0.0.0:0' },
    );
  });
  afterAll(() => secure.kill());

  test('says when the certificate of its listener expires', async () => {
    const { code, out } = await run(['--json'], asking(secure.admin));
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      listener: {
        grpc: `unix:${scratch.path('grpc.sock')}`,
        tls: true,
        certificate_expires_at: new Date(new X509Certificate(cert).validTo).toISOString(),
      },
    });
  });

  // Linux answers on all of 127.0.0.0/8; /config is for 127.0.0.1 alone.
  test.runIf(process.platform === 'linux')('shows the rest if /config does not (needs Linux)', async () => {
    const { code, out } = await run([], asking(secure.admin.replace('0.0.0.0', '127.0.0.2')));
    expect(code).toBe(0);
    expect(out).toContain('  gRPC         not shown: /config answers loopback clients only\n');
    expect(out).toContain('  default  enforce       0');
    expect(out).not.toContain('default policy');
  });
});

describe('status exits 1 with one line for', () => {
  const ADVICE = 'is the service running? (its admin address: listen.admin or APPROOV_ADMIN_LISTEN)';
  const NOT_OURS =
    'does not answer like the admin port of approov-ext-authz: check listen.admin or APPROOV_ADMIN_LISTEN';

  test('an address without a listener', async () => {
    expect(await run([], asking('127.0.0.1:1'))).toEqual({
      code: 1,
      out: '',
      err: [`127.0.0.1:1: connection refused (ECONNREFUSED); ${ADVICE}`],
    });
  });

  test('the gRPC port', async () => {
    const { code, err } = await run([], asking(service.grpc));
    expect(code).toBe(1);
    expect(err).toEqual([expect.stringMatching(`^${service.grpc} ${NOT_OURS} \\([A-Z_]+\\)$`)]);
  });

  test.each<[name: string, onConnection: (socket: Socket) => void, line: string]>([
    ['a peer that never answers', () => undefined, `ADDRESS: no answer within 3 s; ${ADVICE}`],
    [
      'a peer that stalls in the middle of a page',
      (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx'),
      `ADDRESS: no answer within 3 s; ${ADVICE}`,
    ],
    ['a peer that closes the connection', (socket) => socket.destroy(), `ADDRESS ${NOT_OURS} (ECONNRESET)`],
    [
      'a peer that stops in the middle of a page',
      (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{'),
      `ADDRESS ${NOT_OURS} (ECONNRESET)`,
    ],
    [
      'another HTTP server',
      (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'),
      `ADDRESS ${NOT_OURS}`,
    ],
  ])('%s', async (_name, onConnection, line) => {
    const peer = await startPeer(onConnection);
    expect(await run([], asking(peer))).toEqual({ code: 1, out: '', err: [line.replace('ADDRESS', peer)] });
  });
});

test('an admin address that is malformed is an error of the configuration', async () => {
  await expect(run([], asking('9002'))).rejects.toMatchObject({
    name: 'ConfigError',
    problems: [
      {
        path: 'APPROOV_ADMIN_LISTEN',
        message: '"9002" must be host:port or [v6]:port; for example 127.0.0.1:9002',
      },
    ],
  });
});
