/** Tests keys at a URL in a running process: no outage and no unknown key id makes a check wait. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { readMetrics, readReadyz } from '../support/admin-pages.ts';
import { createCa, issueCertificate } from '../support/certificate.ts';
import { startConnectProxy } from '../support/connect-proxy.ts';
import { type CheckClient, createCheckClient, metadataOf, requestWith } from '../support/grpc-client.ts';
import { runInProcess } from '../support/in-process.ts';
import { type KeyHost, startKeyHost } from '../support/key-host.ts';
import { createKeyPair, jwkSet } from '../support/key-pair.ts';
import { PATIENCE } from '../support/patience.ts';
import { type RunningService, startServe } from '../support/process.ts';
import { freshToken, SECRET } from '../support/token.ts';
import { readyWorkers } from '../support/workers.ts';

const folder = mkdtempSync(join(tmpdir(), 'remote-keys-'));
const ca = createCa(folder, 'ca');
const certificate = issueCertificate(folder, 'localhost', ca);
const CONFIG = join(folder, 'config.yaml');
const SECRET_FILE = join(folder, 'secret');
writeFileSync(SECRET_FILE, SECRET);
afterAll(() => rmSync(folder, { recursive: true }));

const a = createKeyPair('a');
const b = createKeyPair('b');

let host: KeyHost;
let service: RunningService;
let client: CheckClient;
beforeEach(async () => {
  host = await startKeyHost(certificate, jwkSet(a));
});
afterEach(async () => {
  client.close();
  await service.kill();
  await host.close();
});

interface StartOptions {
  readonly keys?: readonly object[];
  readonly more?: object;
  readonly trusts?: string;
  readonly env?: Readonly<Record<string, string>>;
}

async function start({
  keys = [remote()],
  more,
  trusts = ca.certFile,
  env,
}: StartOptions = {}): Promise<void> {
  writeFileSync(CONFIG, stringify({ keys, ...more }));
  service = await startServe({ NODE_EXTRA_CA_CERTS: trusts, ...env }, ['--config', CONFIG]);
  client = createCheckClient(service.grpc);
}

function remote(fields: object = {}): object {
  return { id: 'remote', jwksUrl: `${host.origin}/jwks`, ...fields };
}

const local = { id: 'local', secretFile: SECRET_FILE };

/** The reason, and the HTTP status if denied. */
async function check(token: string, at = 'api.example.com'): Promise<string> {
  const response = await client.check(requestWith({ 'approov-token': token }, { host: at }));
  const reason = String(metadataOf(response)['approov_reason']);
  const status = response.denied_response?.status.code;
  return status === undefined ? reason : `${reason}, ${status}`;
}

async function health(): Promise<string> {
  const { code, stderr } = await runInProcess(['healthcheck', '--config', CONFIG], {
    APPROOV_GRPC_LISTEN: service.grpc,
  });
  return code === 0 ? 'SERVING' : stderr.trim();
}

describe('before the first fetch succeeds', () => {
  test('the service is not ready and answers internal_error; it is ready once a key is loaded', async () => {
    host.answer((response) => response.writeHead(503).end());
    await start();
    expect(await readReadyz(service.admin)).toMatchObject({
      status: 503,
      components: { keys: { loaded: [], missing: ['remote'] } },
    });
    expect((await fetch(`http://${service.admin}/livez`)).status).toBe(200);
    expect(await health()).toMatch(/: NOT_SERVING: draining, or no key is loaded$/);
    expect(await check(await a.sign())).toBe('internal_error, 503');
    expect(await check('nonsense.')).toBe('invalid_token_format, 401');
    await vi.waitFor(async () => {
      const { components } = await readReadyz(service.admin);
      expect(components.urls).toEqual({ remote: 'answers with status 503' });
    }, PATIENCE);

    host.answer(jwkSet(a));
    await vi.waitFor(async () => expect((await readReadyz(service.admin)).status).toBe(200), PATIENCE);
    expect(await readReadyz(service.admin)).toMatchObject({
      components: { keys: { loaded: [{ id: 'remote', kid: 'a' }], missing: [] }, urls: {} },
    });
    expect(await health()).toBe('SERVING');
    expect(await check(await a.sign())).toBe('ok');
    const changes = service.logLines().filter(({ msg }) => msg === 'JWKS loaded');
    expect(changes).toMatchObject([{ changes: [expect.stringMatching(/^key remote: added [0-9a-f]{12}$/)] }]);
  });

  test('an untrusted certificate is reported', async () => {
    const other = createCa(folder, 'other-ca');
    await start({ trusts: other.certFile });
    await vi.waitFor(async () => {
      const { status, components } = await readReadyz(service.admin);
      expect(status).toBe(503);
      expect(components.urls?.['remote']).toMatch(
        /^the certificate is not from a trusted authority \((UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN)\)$/,
      );
    }, PATIENCE);
    expect(host.requests).toEqual([]);
    expect(await check(await a.sign())).toBe('internal_error, 503');
  });

  test('a service with another key is ready, and answers internal_error only for tokens of no loaded key', async () => {
    host.answer((response) => response.writeHead(503).end());
    await start({ keys: [local, remote()] });
    expect((await readReadyz(service.admin)).status).toBe(200);
    expect(await health()).toBe('SERVING');
    expect(await check(freshToken())).toBe('ok');
    expect(await check(freshToken({}, { header: { kid: 'a' } }))).toBe('ok');
    expect(await check(freshToken({}, { secret: Buffer.alloc(64) }))).toBe('invalid_token_signature, 401');
    expect(await check(await a.sign())).toBe('internal_error, 503');
  });

  test('a token for a host that the missing key is not for does not lead to internal_error', async () => {
    host.answer((response) => response.writeHead(503).end());
    await start({ keys: [local, remote({ hosts: ['eu.example.com'] })] });
    expect(await check(await a.sign(), 'eu.example.com')).toBe('internal_error, 503');
    expect(await check(await a.sign(), 'us.example.com')).toBe('unsupported_token_algorithm, 401');
  });
});

test('an outage keeps the fetched keys in use, and is counted, logged and shown with their age', async () => {
  await start();
  await vi.waitFor(async () => expect(await check(await a.sign())).toBe('ok'), PATIENCE);
  await host.close();
  service.signal('SIGHUP');
  await vi.waitFor(async () => {
    const { status, components } = await readReadyz(service.admin);
    expect([status, components.urls]).toEqual([200, { remote: 'connection refused (ECONNREFUSED)' }]);
  }, PATIENCE);
  expect(await check(await a.sign())).toBe('ok');
  const metrics = await readMetrics(service.admin);
  expect(metrics.get('approov_reloads_total{source="jwks",outcome="failure"}')).toBeGreaterThan(0);
  expect(metrics.get('approov_jwks_age_seconds{key_id="remote"}')).toBeGreaterThan(0);
  expect(service.logLines()).toContainEqual(
    expect.objectContaining({
      level: 'warn',
      msg: 'JWKS fetch failed',
      keys: { remote: 'connection refused (ECONNREFUSED)' },
    }),
  );
});

test('SIGHUP fetches a URL at once; a key that was removed verifies nothing, even cached tokens', async () => {
  host.answer(jwkSet(a, b));
  await start();
  const [tokenOfA, tokenOfB] = [await a.sign(), await b.sign()];
  await vi.waitFor(async () => expect(await check(tokenOfA)).toBe('ok'), PATIENCE);
  expect(await check(tokenOfA)).toBe('ok');
  host.answer(jwkSet(b));
  service.signal('SIGHUP');
  await vi.waitFor(async () => expect(await check(tokenOfA)).toBe('unknown_key_id, 401'), PATIENCE);
  expect(await check(tokenOfB)).toBe('ok');
});

test('SIGHUP reaches every worker: each fetches the URL', async () => {
  await start({ more: { workers: 2 } });
  const asked = (times: number) => vi.waitFor(() => expect(host.requests).toHaveLength(times), PATIENCE);
  await asked(2);
  // A worker whose first fetch is still running would not start another.
  await readyWorkers(service);
  service.signal('SIGHUP');
  await asked(4);
});

test('an unknown key id is decided at once while the set is fetched once, and known afterwards', async () => {
  await start();
  await vi.waitFor(async () => expect(await check(await a.sign())).toBe('ok'), PATIENCE);
  const before = host.requests.length;
  let release: (() => void) | undefined;
  host.answer((response) => {
    release = () => response.end(jwkSet(a, b));
  });
  expect(await check(await b.sign())).toBe('unknown_key_id, 401');
  await vi.waitFor(() => expect(release).toBeDefined(), PATIENCE);
  const answers = await Promise.all(Array.from({ length: 50 }, async () => check(await b.sign())));
  expect(new Set(answers)).toEqual(new Set(['unknown_key_id, 401']));
  expect(await check(await a.sign())).toBe('ok');
  expect(host.requests).toHaveLength(before + 1);
  release?.();
  await vi.waitFor(async () => expect(await check(await b.sign())).toBe('ok'), PATIENCE);
  expect(await check(await createKeyPair('c').sign())).toBe('unknown_key_id, 401');
  expect(host.requests).toHaveLength(before + 1);
});

describe('fetching a URL', () => {
  test('uses HTTPS_PROXY, unless NO_PROXY has the host', async () => {
    const proxy = await startConnectProxy();
    await start({ env: { HTTPS_PROXY: proxy.url, NO_PROXY: 'a.test' } });
    await vi.waitFor(async () => expect(await check(await a.sign())).toBe('ok'), PATIENCE);
    expect(proxy.tunnels.map(({ to }) => to)).toEqual([`localhost:${host.port}`]);
    client.close();
    await service.kill();
    await start({ env: { HTTPS_PROXY: proxy.url, NO_PROXY: 'localhost' } });
    await vi.waitFor(async () => expect(await check(await a.sign())).toBe('ok'), PATIENCE);
    expect(proxy.tunnels).toHaveLength(1);
    await proxy.close();
  });

  test('trusts only the CA of caFile, and a renewed one without a restart; the keys stay in use meanwhile', async () => {
    const [first, second] = [createCa(folder, 'first'), createCa(folder, 'second')];
    const caFile = join(folder, 'url-ca.pem');
    const other = await startKeyHost(issueCertificate(folder, 'of-second', second), jwkSet(a));
    writeFileSync(caFile, first.cert);
    await start({ keys: [local, { id: 'remote', jwksUrl: `${other.origin}/jwks`, caFile }] });
    await vi.waitFor(async () => {
      const { components } = await readReadyz(service.admin);
      expect(components.urls?.['remote']).toMatch(/\((UNABLE_TO_VERIFY|SELF_SIGNED)/);
    }, PATIENCE);
    writeFileSync(caFile, second.cert);
    service.signal('SIGHUP');
    await vi.waitFor(async () => expect(await check(await a.sign())).toBe('ok'), PATIENCE);

    writeFileSync(caFile, 'nothing');
    service.signal('SIGHUP');
    await vi.waitFor(async () => {
      const { components } = await readReadyz(service.admin);
      expect(components.files?.['tls']).toEqual([
        expect.stringContaining(`: keys[1].caFile: ${caFile}: no certificate in PEM`),
      ]);
    }, PATIENCE);
    writeFileSync(caFile, first.cert);
    service.signal('SIGHUP');
    await vi.waitFor(async () => {
      const { components } = await readReadyz(service.admin);
      expect(components.urls?.['remote']).toMatch(/\((UNABLE_TO_VERIFY|SELF_SIGNED)/);
    }, PATIENCE);
    expect(await check(await a.sign())).toBe('ok');
    await other.close();
  });
});

test('unusable members of a set are skipped, and warned about once, when they appear and when they change', async () => {
  const weak = { kty: 'RSA', e: 'AQAB', n: Buffer.alloc(128, 0xc5).toString('base64url'), kid: 'weak' };
  const strange = { kty: 'EC', crv: 'BP-256', x: a.jwk.x, y: a.jwk.y };
  const file = join(folder, 'set.json');
  writeFileSync(file, JSON.stringify({ keys: [strange, b.jwk] }));
  host.answer(JSON.stringify({ keys: [weak, a.jwk, { kty: 'oct', k: SECRET }] }));
  await start({ keys: [remote(), { id: 'of-file', jwksFile: file }] });
  const warnings = () =>
    service.logLines().flatMap(({ warning }) => (typeof warning === 'string' ? [warning] : []));
  const atStart = [
    'keys[1].jwksFile: keys[0] has an unsupported crv BP-256; it is skipped',
    'keys[0].jwksUrl: keys[0] (kid "weak") is an RSA key of 1024 bits; at least 2048 are needed; it is skipped',
    'keys[0].jwksUrl: keys[2] is symmetric: secrets belong in a secretFile; it is skipped',
  ];
  await vi.waitFor(() => expect(warnings()).toEqual(atStart), PATIENCE);
  expect([await check(await a.sign()), await check(await b.sign())]).toEqual(['ok', 'ok']);

  writeFileSync(
    file,
    JSON.stringify({ keys: [{ ...b.jwk, kid: 'enc', key_ops: ['encrypt'] }, strange, b.jwk] }),
  );
  service.signal('SIGHUP');
  const onReload = [
    'keys[1].jwksFile: keys[0] (kid "enc") is not for verifying: key_ops without "verify"; it is skipped',
    'keys[1].jwksFile: keys[1] has an unsupported crv BP-256; it is skipped',
  ];
  await vi.waitFor(() => expect(warnings()).toEqual([...atStart, ...onReload]), PATIENCE);

  writeFileSync(file, JSON.stringify({ keys: [b.jwk, { kty: 'oct', k: SECRET }] }));
  service.signal('SIGHUP');
  await vi.waitFor(async () => {
    const { components } = await readReadyz(service.admin);
    expect(components.files?.['jwks']).toEqual([
      expect.stringContaining(
        `: keys[1].jwksFile: ${file}: keys[1] is symmetric: secrets belong in a secretFile`,
      ),
    ]);
  }, PATIENCE);
  expect(await check(await b.sign())).toBe('ok');
  for (const text of [a.jwk.x, SECRET, weak.n]) expect(service.output()).not.toContain(text);
});

describe('keys for some hosts only', () => {
  test('verify tokens for these hosts only, even if a token is cached for another', async () => {
    host.answer(jwkSet(a));
    writeFileSync(join(folder, 'b.pem'), b.pem);
    const pem = {
      id: 'b',
      pemFile: join(folder, 'b.pem'),
      algorithms: ['ES256'],
      hosts: ['*.us.example.com'],
    };
    await start({ keys: [remote({ hosts: ['api.eu.example.com'] }), pem, local] });
    const [eu, us, everywhere] = [await a.sign(), await b.sign({}, { kid: undefined }), freshToken()];
    await vi.waitFor(async () => expect(await check(eu, 'api.eu.example.com')).toBe('ok'), PATIENCE);
    for (let round = 0; round < 2; round++) {
      expect(await check(eu, 'API.EU.example.com:443')).toBe('ok');
      expect(await check(eu, 'a.us.example.com')).toBe('invalid_token_signature, 401');
      expect(await check(eu, 'example.com')).toBe('unsupported_token_algorithm, 401');
      expect(await check(eu, '')).toBe('unsupported_token_algorithm, 401');
      expect(await check(us, 'a.us.example.com')).toBe('ok');
      expect(await check(us, 'api.eu.example.com')).toBe('invalid_token_signature, 401');
      expect(await check(everywhere, 'api.eu.example.com')).toBe('ok');
      expect(await check(everywhere, 'example.com')).toBe('ok');
    }
    const metrics = await readMetrics(service.admin);
    expect(metrics.get('approov_token_cache_lookups_total{outcome="hit"}')).toBeGreaterThanOrEqual(4);
  });
});
