/** Tests the gRPC listener over TLS, mTLS, Unix sockets and IPv6, including certificate renewal. */
import { once } from 'node:events';
import { existsSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { readMetrics, readReadyz } from '../support/admin-pages.ts';
import { type Certificate, createCa, issueCertificate } from '../support/certificate.ts';
import { createScratch } from '../support/checked-service.ts';
import { createCheckClient, metadataOf, requestWith } from '../support/grpc-client.ts';
import { runInProcess } from '../support/in-process.ts';
import { PATIENCE } from '../support/patience.ts';
import { type Finished, type RunningService, runCli, startServe } from '../support/process.ts';
import { PREFACE, SETTINGS } from '../support/raw-http2.ts';
import { IPV6, unmet } from '../support/requirement.ts';
import { freshToken, OTHER_SECRET, SECRET } from '../support/token.ts';

const scratch = createScratch('listeners');
const CONFIG = scratch.path('config.yaml');
const ca = createCa(scratch.folder, 'ca');
const otherCa = createCa(scratch.folder, 'other-ca');
const first = issueCertificate(scratch.folder, 'first', ca);
const second = issueCertificate(scratch.folder, 'second', ca);
const envoy = issueCertificate(scratch.folder, 'envoy', ca);
const stranger = issueCertificate(scratch.folder, 'stranger', otherCa);
afterAll(() => scratch.remove());

const ENV = { APPROOV_BASE64_SECRET: SECRET };

let service: RunningService | undefined;
afterEach(async () => {
  await service?.kill();
  service = undefined;
});

const FILES = { certFile: scratch.path('server.crt'), keyFile: scratch.path('server.key') };
const CLIENT_CA = { clientCaFile: scratch.path('client-ca.crt') };

function install({ cert, key }: Certificate): void {
  writeFileSync(FILES.certFile, cert);
  writeFileSync(FILES.keyFile, key);
}

async function start(listen: object, grpc = '127.0.0.1:0'): Promise<RunningService> {
  writeFileSync(CONFIG, stringify({ listen }));
  service = await startServe({ ...ENV, APPROOV_GRPC_LISTEN: grpc }, ['--config', CONFIG]);
  return service;
}

async function startTls(more: object = {}, grpc?: string): Promise<RunningService> {
  install(first);
  return start({ tls: { ...FILES, ...more } }, grpc);
}

function ssl(client?: Certificate, trusted = ca): ChannelCredentials {
  return credentials.createSsl(
    Buffer.from(trusted.cert),
    client && Buffer.from(client.key),
    client && Buffer.from(client.cert),
  );
}

/** Checks on a new connection. Returns the reason of the decision, or the status of the failed call. */
async function check(grpc: string, channel?: ChannelCredentials): Promise<string> {
  const client = createCheckClient(grpc.replace('[::]', '[::1]'), channel);
  try {
    const answer = await client.check(requestWith({ 'approov-token': freshToken() }));
    return String(metadataOf(answer)['approov_reason']);
  } catch (error) {
    return `failed with status ${(error as { code?: number }).code}`;
  } finally {
    client.close();
  }
}

/** Runs `healthcheck` with the configuration of the service and the addresses that it is bound to. */
function healthcheck(running: RunningService): Promise<Finished> {
  return runInProcess(['healthcheck', '--config', CONFIG], {
    ...ENV,
    APPROOV_GRPC_LISTEN: running.grpc,
    APPROOV_ADMIN_LISTEN: running.admin,
  });
}

const SERVING = { code: 0, stdout: '', stderr: '' };
/** gRPC UNAVAILABLE: no connection was established. */
const REFUSED = 'failed with status 14';

async function openTls(grpc: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const [host = '', port] = grpc.split(':');
  const socket = connect({ host, port: Number(port), ca: ca.cert, ALPNProtocols: ['h2'], ...options });
  await once(socket, 'secureConnect');
  return socket;
}

/** The common name of the server certificate on a new connection. */
async function servedName(grpc: string, options?: ConnectionOptions): Promise<string> {
  const socket = await openTls(grpc, options);
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return String(subject.CN);
}

describe('with TLS', () => {
  let running: RunningService;
  beforeAll(async () => {
    running = await startTls();
    // It is for all of these tests.
    service = undefined;
  });
  afterAll(() => running.kill());

  test('a client that trusts the CA is answered, and healthcheck succeeds', async () => {
    expect(await check(running.grpc, ssl())).toBe('ok');
    expect(await healthcheck(running)).toEqual(SERVING);
  });

  test('a plain-text client and a TLS 1.1 client are rejected', async () => {
    const { grpc } = running;
    expect(await check(grpc)).toBe(REFUSED);
    await expect(openTls(grpc, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' })).rejects.toThrow();
    expect(await check(grpc, ssl())).toBe('ok');
  });

  test('a client that stalls during or after its handshake is disconnected, and an active one is not', async () => {
    const { grpc } = running;
    const [host = '', port] = grpc.split(':');
    const kept = createCheckClient(grpc, ssl());
    const silent = connectTcp(Number(port), host).resume();
    const hello = connectTcp(Number(port), host).resume();
    // The start of a ClientHello that never completes, with more bytes than an HTTP/2 preface.
    hello.write(Buffer.concat([Buffer.from('16030102000100', 'hex'), Buffer.alloc(100)]));
    const secure = (await openTls(grpc)).resume();
    const request = requestWith({ 'approov-token': freshToken() });
    try {
      await vi.waitFor(async () => {
        expect(metadataOf(await kept.check(request))['approov_reason']).toBe('ok');
        expect([silent.closed, hello.closed, secure.closed]).toEqual([true, true, true]);
      }, PATIENCE);
    } finally {
      kept.close();
      for (const socket of [silent, hello, secure]) socket.destroy();
    }
  });

  test('a client that trusts another CA does not connect', async () => {
    expect(await check(running.grpc, ssl(undefined, otherCa))).toBe(REFUSED);
  });

  test.each<[what: string, cert: string, key: string, message: string]>([
    [
      'a key of another certificate',
      first.cert,
      second.key,
      'the private key is not that of the certificate',
    ],
    ['an empty certificate', '', first.key, 'no certificate in PEM'],
  ])('%s is an error at startup', async (_what, cert, key, message) => {
    const tls = { certFile: scratch.write('bad.crt', cert), keyFile: scratch.write('bad.key', key) };
    const config = scratch.write('bad.yaml', stringify({ listen: { tls } }));
    const finished = await runInProcess(['serve', '--config', config], ENV);
    expect(finished).toMatchObject({ code: 2, stdout: '' });
    expect(finished.stderr).toMatch(
      /^approov-ext-authz: \S+:\d+:\d+: listen\.tls\.(?:cert|key)File: [^\n]+\n$/,
    );
    expect(finished.stderr).toContain(message);
  });
});

describe('a renewed certificate', () => {
  const renewals = {
    'in place': () => install(second),
    'by rename': () => {
      for (const [file, text] of [
        [FILES.certFile, second.cert],
        [FILES.keyFile, second.key],
      ] as const) {
        writeFileSync(`${file}.new`, text);
        renameSync(`${file}.new`, file);
      }
    },
  };

  test.each(Object.entries(renewals))(
    '%s is used for new connections, while old ones stay open',
    async (_how, renew) => {
      const { grpc, admin } = await startTls();
      expect(await servedName(grpc)).toBe('first');
      const old = createCheckClient(grpc, ssl());
      const ask = async () => {
        const answer = await old.check(requestWith({ 'approov-token': freshToken() }));
        return metadataOf(answer)['approov_reason'];
      };
      const idle = await openTls(grpc);
      // Without these it would be closed after 5 s.
      idle.write(Buffer.concat([PREFACE, SETTINGS]));
      expect(await ask()).toBe('ok');
      renew();
      await vi.waitFor(async () => expect(await servedName(grpc)).toBe('second'), PATIENCE);
      expect(await ask()).toBe('ok');
      expect(idle.readyState).toBe('open');
      expect(await check(grpc, ssl())).toBe('ok');
      old.close();
      idle.destroy();
      const metrics = await readMetrics(admin);
      expect(metrics.get('approov_reloads_total{source="tls",outcome="success"}')).toBe(1);
    },
  );

  test('only a certificate change invalidates TLS sessions', async () => {
    install(first);
    const secretFile = scratch.write('secret', SECRET);
    const keys = [{ id: 'current', secretFile }];
    writeFileSync(CONFIG, stringify({ keys, listen: { tls: FILES } }));
    service = await startServe({}, ['--config', CONFIG]);
    const { grpc, admin, signal } = service;
    const ticketOf = async (): Promise<Buffer> => {
      const socket = await openTls(grpc);
      const [ticket] = (await once(socket, 'session')) as [Buffer];
      socket.destroy();
      return ticket;
    };
    const isResumed = async (session: Buffer): Promise<boolean> => {
      const socket = await openTls(grpc, { session });
      const isReused = socket.isSessionReused();
      socket.destroy();
      return isReused;
    };
    const ticket = await ticketOf();
    scratch.write('secret', OTHER_SECRET);
    signal('SIGHUP');
    const reloads = (source: string) =>
      vi.waitFor(async () => {
        const metrics = await readMetrics(admin);
        expect(metrics.get(`approov_reloads_total{source="${source}",outcome="success"}`)).toBe(1);
      }, PATIENCE);
    await reloads('keys');
    expect(await isResumed(ticket)).toBe(true);
    install(second);
    signal('SIGHUP');
    await reloads('tls');
    expect(await isResumed(ticket)).toBe(false);
  });

  test('that is invalid is reported, and the last good one is used until both files are valid', async () => {
    const { grpc, admin, signal } = await startTls();
    writeFileSync(FILES.certFile, '');
    writeFileSync(FILES.keyFile, '');
    signal('SIGHUP');
    await vi.waitFor(async () => {
      const { status, components } = await readReadyz(admin);
      expect([status, components.files?.['tls']]).toEqual([
        200,
        [`${CONFIG}:3:15: listen.tls.certFile: ${FILES.certFile}: no certificate in PEM`],
      ]);
    }, PATIENCE);
    expect(await servedName(grpc)).toBe('first');
    expect(await check(grpc, ssl())).toBe('ok');
    install(second);
    signal('SIGHUP');
    await vi.waitFor(async () => expect(await servedName(grpc)).toBe('second'), PATIENCE);
    expect((await readReadyz(admin)).components.files?.['tls']).toBe('ok');
    const metrics = await readMetrics(admin);
    expect(metrics.get('approov_reloads_total{source="tls",outcome="failure"}')).toBe(1);
  });
});

describe('with a client CA', () => {
  test('only clients with a certificate signed by it are answered', async () => {
    writeFileSync(CLIENT_CA.clientCaFile, ca.cert);
    const { grpc } = await startTls(CLIENT_CA);
    expect(await check(grpc, ssl(envoy))).toBe('ok');
    expect(await check(grpc, ssl())).toBe(REFUSED);
    expect(await check(grpc, ssl(stranger))).toBe(REFUSED);
    expect(await check(grpc)).toBe(REFUSED);
    expect(await check(grpc, ssl(envoy))).toBe('ok');
  });

  test('healthcheck queries /readyz, and reports serving and draining', async () => {
    writeFileSync(CLIENT_CA.clientCaFile, ca.cert);
    install(first);
    writeFileSync(
      CONFIG,
      stringify({ listen: { tls: { ...FILES, ...CLIENT_CA } }, drain: { delaySeconds: 3600 } }),
    );
    const running = await startServe(ENV, ['--config', CONFIG]);
    service = running;
    expect(await healthcheck(running)).toEqual(SERVING);
    running.signal('SIGTERM');
    await vi.waitFor(async () => expect((await readReadyz(running.admin)).status).toBe(503), PATIENCE);
    expect(await healthcheck(running)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/: NOT_SERVING: draining, or no key is loaded\n$/),
    });
  });

  test.each([
    ['removing it from the configuration takes effect at the next start', CLIENT_CA, {}, REFUSED],
    ['adding it to the configuration takes effect at the next start', {}, CLIENT_CA, 'ok'],
  ])('%s, while the server certificate is still renewed', async (_when, before, after, uncertified) => {
    writeFileSync(CLIENT_CA.clientCaFile, ca.cert);
    const { grpc, logLines, signal } = await startTls(before);
    const own = { cert: envoy.cert, key: envoy.key };
    expect(await servedName(grpc, own)).toBe('first');
    writeFileSync(CONFIG, stringify({ listen: { tls: { ...FILES, ...after } } }));
    signal('SIGHUP');
    await vi.waitFor(
      () => expect(logLines()).toContainEqual(expect.objectContaining({ field: 'listen', level: 'warn' })),
      PATIENCE,
    );
    install(second);
    signal('SIGHUP');
    await vi.waitFor(async () => expect(await servedName(grpc, own)).toBe('second'), PATIENCE);
    expect(await check(grpc, ssl())).toBe(uncertified);
    expect(await check(grpc, ssl(envoy))).toBe('ok');
  });

  test('a renewed CA applies to new connections', async () => {
    writeFileSync(CLIENT_CA.clientCaFile, ca.cert);
    const { grpc, admin, signal } = await startTls(CLIENT_CA);
    expect(await check(grpc, ssl(stranger))).toBe(REFUSED);
    writeFileSync(CLIENT_CA.clientCaFile, otherCa.cert);
    signal('SIGHUP');
    await vi.waitFor(async () => expect(await check(grpc, ssl(stranger))).toBe('ok'), PATIENCE);
    expect(await check(grpc, ssl(envoy))).toBe(REFUSED);
    writeFileSync(CLIENT_CA.clientCaFile, '');
    signal('SIGHUP');
    await vi.waitFor(async () => {
      expect((await readReadyz(admin)).components.files?.['tls']).toEqual([
        expect.stringContaining(`listen.tls.clientCaFile: ${CLIENT_CA.clientCaFile}: no certificate in PEM`),
      ]);
    }, PATIENCE);
    // An emptied file must neither accept every client nor reject every client.
    expect(await check(grpc, ssl(stranger))).toBe('ok');
    expect(await check(grpc, ssl())).toBe(REFUSED);
  });
});

describe('a Unix socket', () => {
  const path = scratch.path('authz.sock');
  const grpc = `unix:${path}`;

  test.each([
    ['0660 by default', {}, 0o660],
    ['0600 if configured', { unixSocketMode: '0600' }, 0o600],
    ['0666 if configured', { unixSocketMode: '666' }, 0o666],
  ])('has mode %s', async (_what, listen, mode) => {
    const running = await start(listen, grpc);
    expect(running.grpc).toBe(grpc);
    expect(statSync(path).mode & 0o7777).toBe(mode);
    expect(await check(grpc)).toBe('ok');
    expect(await healthcheck(running)).toEqual(SERVING);
  });

  test('left behind by a killed service is replaced, and is removed by a clean exit', async () => {
    await (await start({}, grpc)).kill();
    expect(existsSync(path)).toBe(true);
    writeFileSync(CONFIG, stringify({ listen: { unixSocketMode: '0600' }, drain: { delaySeconds: 0 } }));
    const running = await startServe({ ...ENV, APPROOV_GRPC_LISTEN: grpc }, ['--config', CONFIG]);
    service = running;
    expect(await check(grpc)).toBe('ok');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    running.signal('SIGTERM');
    expect(await running.ended).toBe(0);
    expect(existsSync(path)).toBe(false);
  });

  test('path in use by another service or a regular file is an error: exit 1, one line', async () => {
    const running = await start({}, grpc);
    const expectBindError = async (where: string): Promise<void> => {
      const finished = await runCli(['serve'], {
        ...ENV,
        APPROOV_GRPC_LISTEN: where,
        APPROOV_ADMIN_LISTEN: '127.0.0.1:0',
      });
      expect(finished).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(
          `approov-ext-authz: cannot listen on ${where}: another process or listener uses it (EADDRINUSE); `,
        ) as string,
      });
      expect(finished.stderr).toMatch(/^[^\n]+\n$/);
    };
    await expectBindError(grpc);
    expect(await check(running.grpc)).toBe('ok');
    const file = scratch.write('precious', 'text');
    await expectBindError(`unix:${file}`);
    expect(existsSync(file)).toBe(true);
  });

  test('supports TLS', async () => {
    const running = await startTls({}, grpc);
    const socket = connect({ path, ca: ca.cert, servername: 'localhost', ALPNProtocols: ['h2'] });
    await once(socket, 'secureConnect');
    expect(socket.alpnProtocol).toBe('h2');
    socket.destroy();
    expect(await healthcheck(running)).toEqual(SERVING);
  });
});

const withoutIpv6 = await unmet([IPV6], 'that the listeners serve IPv6');

describe.skipIf(withoutIpv6 !== '')(`IPv6${withoutIpv6}`, () => {
  test.each(['[::1]:0', '[::]:0'])('is served at %s', async (address) => {
    const running = await start({}, address);
    expect(running.grpc).toMatch(/^\[::1?\]:[1-9]\d*$/);
    expect(await check(running.grpc)).toBe('ok');
    expect(await healthcheck(running)).toEqual(SERVING);
  });

  test('at [::] also accepts IPv4, for single-stack and dual-stack pods', async () => {
    service = await startServe({ ...ENV, APPROOV_GRPC_LISTEN: '[::]:0', APPROOV_ADMIN_LISTEN: '[::]:0' });
    expect(await check(service.grpc.replace('[::]', '127.0.0.1'))).toBe('ok');
    expect((await readReadyz(service.admin.replace('[::]', '127.0.0.1'))).status).toBe(200);
  });

  test('supports TLS', async () => {
    const running = await startTls({}, '[::1]:0');
    expect(await check(running.grpc, ssl())).toBe('ok');
    expect(await healthcheck(running)).toEqual(SERVING);
  });

  test('is served by the admin listener', async () => {
    service = await startServe({ ...ENV, APPROOV_ADMIN_LISTEN: '[::1]:0' });
    expect(service.admin).toMatch(/^\[::1\]:\d+$/);
    expect((await readReadyz(service.admin)).status).toBe(200);
    expect((await fetch(`http://${service.admin}/config`)).status).toBe(200);
  });
});
