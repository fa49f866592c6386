/** Tests that `check-config` prints the effective configuration without secrets, or every error. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { CONTENT_ENCRYPTION_ALGORITHMS } from '../../../src/approov/decryption-algorithm.ts';
import { DEFAULT_POLICY } from '../../support/default-policy.ts';
import { runInProcess } from '../../support/in-process.ts';
import { createKeyPair, generateKeyPair } from '../../support/key-pair.ts';
import { collect, type Finished, runCli, spawnCli, startServe } from '../../support/process.ts';
import { fingerprint, OTHER_SECRET, OTHER_SECRET_BYTES, SECRET, SECRET_BYTES } from '../../support/token.ts';

const folder = mkdtempSync(join(tmpdir(), 'check-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

function fileWith(name: string, content: string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

function checkConfig(config?: string, env: Readonly<Record<string, string>> = {}): Promise<Finished> {
  return runInProcess(
    ['check-config', ...(config === undefined ? [] : ['--config', fileWith('config.yaml', config)])],
    env,
  );
}

/** The lines of stderr, with line and column in place of the file too. */
function placed(stderr: string): string[] {
  return stderr
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/\/\S+\/config\.yaml:/, ''));
}

test('check-config escapes control and format characters in its errors', async () => {
  const config = fileWith('controls.yaml', '"a\u202eb\u009b\u2028": 1\n');
  const { code, stderr } = await runCli(['check-config', '--config', config], {
    APPROOV_BASE64_SECRET: SECRET,
  });
  expect(code).toBe(2);
  expect(stderr).toMatch(/^approov-ext-authz: \/\S+:1:1: a\\u202eb\\u009b\\u2028: unknown field\n$/);
});

describe('check-config of a good configuration', () => {
  test('warns about secrets that were encoded twice, from variables and files, and does not print them', async () => {
    const twice = (text: string): string => Buffer.from(text).toString('base64');
    const secret = twice(SECRET);
    const warned =
      'the secret decodes to text that is itself base64: it was probably encoded twice; decode it once';
    const fromEnvironment = await checkConfig(undefined, { APPROOV_BASE64_SECRET: secret });
    expect(fromEnvironment).toMatchObject({
      code: 0,
      stderr: `warning: APPROOV_BASE64_SECRET: ${warned}\nok: 1 key, 1 policy (default enforces), 0 routes\n`,
    });
    const fromFiles = await checkConfig(
      stringify({
        keys: [{ id: 'a', secretFile: fileWith('twice', secret) }],
        decryptionKeys: [
          {
            id: 'b',
            secretFile: fileWith('hex-twice', twice('0f'.repeat(32))),
            keyManagementAlgorithms: ['dir'],
            contentEncryptionAlgorithms: ['A256CBC-HS512'],
          },
        ],
      }),
    );
    expect(fromFiles.code).toBe(0);
    expect(placed(fromFiles.stderr)).toEqual([
      `warning: 3:17: keys[0].secretFile: ${warned}`,
      `warning: 6:17: decryptionKeys[0].secretFile: ${warned.replace('base64', 'hex')}`,
      'ok: 1 key, 1 decryption key, 1 policy (default enforces), 0 routes',
    ]);
    for (const { stdout, stderr } of [fromEnvironment, fromFiles]) {
      expect(stdout + stderr).not.toContain(secret.slice(0, 12));
      expect(stdout + stderr).not.toContain(SECRET.slice(0, 12));
    }
  });

  test('warns about keys that are the same, and not about others', async () => {
    const keys = ['a', 'b', 'c'].map((id) => ({
      id,
      secretFile: fileWith(id, id === 'c' ? OTHER_SECRET : SECRET),
    }));
    const { code, stderr } = await checkConfig(stringify({ keys }));
    expect(code).toBe(0);
    expect(placed(stderr)).toEqual([
      `warning: 2:3: keys: a, b are the same key (fingerprint ${fingerprint(SECRET_BYTES)})`,
      'ok: 3 keys, 1 policy (default enforces), 0 routes',
    ]);
  });

  test('prints 20 of many problems, and how many more there are', async () => {
    const { code, stderr } = await checkConfig('\ta: 1\n'.repeat(1000), { APPROOV_BASE64_SECRET: SECRET });
    const lines = stderr.trimEnd().split('\n');
    expect(code).toBe(2);
    expect(lines).toHaveLength(21);
    expect(lines[0]).toMatch(/config\.yaml:1:1: not valid YAML: a tab is used for indentation; use spaces$/);
    expect(lines.at(-1)).toMatch(/configuration: \d+ more problems$/);
  });

  test('prints all of a large configuration to a slow reader', async () => {
    const names = Array.from({ length: 3000 }, (_, index) => `policy-${index}`);
    const policies = Object.fromEntries(names.map((name) => [name, {}]));
    const config = fileWith('large.yaml', stringify({ policies }));
    const child = spawnCli(['check-config', '--config', config], { APPROOV_BASE64_SECRET: SECRET });
    const exit = once(child, 'exit');
    // Reading starts when it has had time to write everything and exit.
    await Promise.race([exit, sleep(1500)]);
    const stdout = collect(child.stdout);
    await once(child, 'close');
    expect(Object.keys(parse(stdout()).policies)).toEqual([...names, 'default']);
  });

  test('prints the default of every field that is not set', async () => {
    const finished = await checkConfig(undefined, { APPROOV_BASE64_SECRET: SECRET });
    expect(finished).toMatchObject({
      code: 0,
      stderr: 'ok: 1 key, 1 policy (default enforces), 0 routes\n',
    });
    expect(parse(finished.stdout)).toMatchObject({
      listen: { grpc: '0.0.0.0:9001', admin: '127.0.0.1:9002', unixSocketMode: '0660' },
      keys: [{ id: 'env', fingerprint: fingerprint(SECRET_BYTES), algorithms: ['HS256'] }],
      defaultPolicy: 'default',
      policies: {
        default: DEFAULT_POLICY,
      },
      routes: [],
      denied: { status: 401, body: '{}', contentType: 'application/json', exposeReason: false },
      log: { level: 'info', checks: 'failures', format: 'auto' },
      tokenCache: { maxEntries: 10_000 },
      drain: { delaySeconds: 5, timeoutSeconds: 20 },
      connection: { maxAgeSeconds: 600, maxConcurrentStreams: 256 },
      limits: { messageBytes: 262_144, grpcMetadataBytes: 65_536, connections: 10_000 },
      workers: 1,
    });
  });

  test('prints the id, fingerprint, file, kid and algorithms of each key', async () => {
    const [first, second] = [fileWith('first', SECRET), fileWith('second', OTHER_SECRET)];
    const { stdout } = await checkConfig(
      `keys: [{id: current, secretFile: ${first}}, {id: next, secretFile: ${second}, kid: k2, algorithms: [HS384, HS512]}]`,
    );
    expect(parse(stdout)['keys']).toEqual([
      { id: 'current', fingerprint: fingerprint(SECRET_BYTES), secretFile: first, algorithms: ['HS256'] },
      {
        id: 'next',
        fingerprint: fingerprint(OTHER_SECRET_BYTES),
        secretFile: second,
        kid: 'k2',
        algorithms: ['HS384', 'HS512'],
      },
    ]);
  });

  test('prints the id and fingerprint of each decryption key', async () => {
    const bytes = Buffer.alloc(32, 'opener');
    const file = fileWith('opener', bytes.toString('base64'));
    const { stdout } = await checkConfig(`decryptionKeys: [{id: open, secretFile: ${file}}]`, {
      APPROOV_BASE64_SECRET: SECRET,
    });
    expect(parse(stdout)['decryptionKeys']).toMatchObject([
      {
        id: 'open',
        fingerprint: fingerprint(bytes),
        secretFile: file,
        keyManagementAlgorithms: ['dir', 'A256KW', 'A256GCMKW'],
        contentEncryptionAlgorithms: CONTENT_ENCRYPTION_ALGORITHMS,
      },
    ]);
  });

  test('warns about each skipped member of a JWK Set, and prints no key material', async () => {
    const [good, weak] = [createKeyPair('good'), generateKeyPair('rsa', { modulusLength: 2048 })];
    const encrypting = { ...weak.publicKey.export({ format: 'jwk' }), kid: 'enc', use: 'enc' };
    const curve = { kty: 'EC', crv: 'BP-256', x: good.jwk.x, y: good.jwk.y };
    const file = fileWith('jwks', JSON.stringify({ keys: [curve, good.jwk, encrypting] }));
    const { code, stdout, stderr } = await checkConfig(`keys: [{id: set, jwksFile: ${file}}]`);
    expect(code).toBe(0);
    expect(parse(stdout)['keys'][0].jwks).toMatchObject([{ kid: 'good', algorithms: ['ES256'] }]);
    expect(placed(stderr)).toEqual([
      'warning: 1:28: keys[0].jwksFile: keys[0] has an unsupported crv BP-256; it is skipped',
      'warning: 1:28: keys[0].jwksFile: keys[2] (kid "enc") is not for signatures: use enc; it is skipped',
      'ok: 1 key, 1 policy (default enforces), 0 routes',
    ]);
    for (const text of [good.jwk.x, encrypting.n]) expect(stdout + stderr).not.toContain(text);
  });

  test('marks the values that came from the environment, and no others', async () => {
    const env = {
      APPROOV_BASE64_SECRET: SECRET,
      APPROOV_MODE: 'observe',
      APPROOV_BINDING_HEADER: 'authorization',
      APPROOV_GRPC_LISTEN: 'unix:/run/a.sock',
      APPROOV_ADMIN_LISTEN: '[::1]:9',
      LOG_LEVEL: 'debug',
    };
    const { code, stdout } = await checkConfig('policies: {default: {mode: limit}, other: {}}', env);
    expect(code).toBe(0);
    const marked = stdout
      .split('\n')
      .filter((line) => line.includes('#'))
      .map((line) => line.trim());
    expect(marked).toEqual([
      'grpc: unix:/run/a.sock # from APPROOV_GRPC_LISTEN',
      'admin: "[::1]:9" # from APPROOV_ADMIN_LISTEN',
      'mode: observe # from APPROOV_MODE',
      expect.stringContaining('# from APPROOV_BINDING_HEADER'),
      'level: debug # from LOG_LEVEL',
      '- id: env # from APPROOV_BASE64_SECRET',
    ]);
    expect(parse(stdout)['policies']['default']['binding']).toEqual({
      headers: ['authorization'],
      when: 'if-present',
    });
  });

  test('warns about each route that is stricter than the default policy', async () => {
    const { code, stderr, stdout } = await checkConfig(
      `defaultPolicy: open
policies: {open: {mode: observe}, strict: {}, off: {mode: off}, bound: {mode: observe, issuer: approov.io}}
routes: [{pathPrefix: /public, policy: off}, {pathPrefix: /orders, policy: strict}, {pathPrefix: /b, policy: bound}]`,
      { APPROOV_BASE64_SECRET: SECRET },
    );
    expect(code).toBe(0);
    expect(parse(stdout)['defaultPolicy']).toBe('open');
    expect(placed(stderr)).toEqual([
      'warning: 3:76: routes[1].policy: strict is stricter than the default policy open: a request that an upstream ' +
        'routes here though its path does not match escapes it; make the strictest policy the default',
      'ok: 1 key, 4 policies (open observes), 3 routes',
    ]);
  });

  test('prints no part of a secret', async () => {
    const { stdout } = await checkConfig(`keys: [{id: a, secretFile: ${fileWith('secret', SECRET)}}]`);
    for (let start = 0; start + 8 <= SECRET.length; start += 4)
      expect(stdout).not.toContain(SECRET.slice(start, start + 8));
  });

  test('prints the same as /config of a running service', async () => {
    const config = fileWith(
      'same.yaml',
      `keys: [{id: a, secretFile: ${fileWith('secret', SECRET)}}]
decryptionKeys: [{id: open, secretFile: ${fileWith('opener', OTHER_SECRET)}}]
policies: {b: {mode: off}}`,
    );
    const addresses = { APPROOV_GRPC_LISTEN: '127.0.0.1:0', APPROOV_ADMIN_LISTEN: '127.0.0.1:0' };
    const service = await startServe(addresses, ['--config', config]);
    onTestFinished(() => service.kill());
    const page = await (await fetch(`http://${service.admin}/config`)).text();
    expect((await runCli(['check-config', '--config', config], addresses)).stdout).toBe(page);
  });
});

describe('check-config of a bad configuration exits 2', () => {
  test('with every error and its path, and without printing the configuration', async () => {
    const short = fileWith('short', Buffer.alloc(31, 1).toString('base64'));
    const finished = await checkConfig(
      `keys: [{id: a, secretFile: ${short}}, {id: a, secretFile: /nowhere}]
policies: {default: {mode: on, tokenHeader: Host}, unknown: {}, Big: {}}
routes: [{host: "a b", policy: none}]
denied: {status: 418}
tokenCache: {maxEntries: -1}
other: 1
`,
    );
    expect(finished).toMatchObject({ code: 2, stdout: '' });
    const lines = finished.stderr
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/^approov-ext-authz: \/\S+\/config\.yaml:\d+:\d+: /, ''));
    expect(lines.map((line) => line.slice(0, line.indexOf(': '))).sort()).toEqual([
      'denied.status',
      'keys[0].secretFile',
      'keys[1].id',
      'keys[1].secretFile',
      'other',
      'policies.Big',
      'policies.default.mode',
      'policies.default.tokenHeader',
      'policies.unknown',
      'routes[0].host',
      'routes[0].policy',
      'tokenCache.maxEntries',
    ]);
    expect(lines).toContain(
      `keys[0].secretFile: ${short}: the secret decodes to 31 bytes; at least 32 are needed for HS256`,
    );
  });

  test('with every unreadable TLS file among the other errors', async () => {
    const finished = await checkConfig(
      'listen: {tls: {certFile: /no.crt, keyFile: /no.key, clientCaFile: /no.ca}}\nother: 1',
      { APPROOV_BASE64_SECRET: SECRET },
    );
    expect(finished).toMatchObject({ code: 2, stdout: '' });
    const lines = finished.stderr.trimEnd().split('\n');
    expect(lines.map((line) => line.replace(/^approov-ext-authz: \/\S+\/config\.yaml:/, ''))).toEqual([
      '1:26: listen.tls.certFile: /no.crt: no such file',
      '1:44: listen.tls.keyFile: /no.key: no such file',
      '1:67: listen.tls.clientCaFile: /no.ca: no such file',
      '2:1: other: unknown field',
    ]);
  });
});
