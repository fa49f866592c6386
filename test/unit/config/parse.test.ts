/** Tests that a file and the environment become a configuration with the documented defaults, or a list of problems. */
import { describe, expect, it } from 'vitest';
import { Secret } from '../../../src/approov/secret.ts';
import type { Config } from '../../../src/config/config.ts';
import type { Env } from '../../../src/config/env.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { DEFAULT_POLICY } from '../../support/default-policy.ts';
import { SECRET } from '../../support/token.ts';

const ENV: Env = { APPROOV_BASE64_SECRET: SECRET };
const KEYS = 'keys: [{id: current, secretFile: /run/secrets/current}]\n';

const DEFAULTS = {
  listen: {
    grpc: { kind: 'tcp', host: '0.0.0.0', port: 9001 },
    admin: { kind: 'tcp', host: '127.0.0.1', port: 9002 },
    unixSocketMode: '0660',
    transport: 'grpc-js',
  },
  decryptionKeys: [],
  messageSigningKeys: [],
  defaultPolicy: 'default',
  policies: { default: DEFAULT_POLICY },
  routes: [],
  denied: { status: 401, body: '{}', contentType: 'application/json', exposeReason: false, headers: {} },
  log: { level: 'info', checks: 'failures', format: 'auto' },
  tokenCache: { maxEntries: 10_000 },
  drain: { delaySeconds: 5, timeoutSeconds: 20 },
  connection: { maxAgeSeconds: 600, maxConcurrentStreams: 256 },
  limits: { messageBytes: 262_144, grpcMetadataBytes: 65_536, connections: 10_000 },
  workers: 1,
  rollout: {
    minHours: 24,
    minChecks: 10_000,
    maxWouldDenyPercent: 0.1,
    maxWorstHourPercent: 1,
    minHourTrafficPercent: 1,
    maxInternalErrors: 0,
    minNewestVerifiedPercent: 99.9,
  },
};

function configOf(text: string | undefined, env: Env = ENV): Config {
  const { config, problems } = parseConfig(text, env);
  expect(problems).toEqual([]);
  return config as Config;
}

function problemsOf(text: string | undefined, env: Env = ENV): string[] {
  const { config, problems } = parseConfig(text, env);
  expect(config === undefined ? 'refused' : 'taken').toBe('refused');
  return problems.map(({ path, message }) => `${path}: ${message}`);
}

describe('without a file', () => {
  it('a secret alone gives the defaults and the key env', () => {
    const { settings, keys, policyTable, origins } = configOf(undefined);
    expect(settings).toEqual(DEFAULTS);
    expect(keys).toEqual([
      {
        id: 'env',
        format: 'secret',
        location: { secret: expect.any(Secret) },
        kid: undefined,
        algorithms: undefined,
        hosts: undefined,
        path: 'APPROOV_BASE64_SECRET',
      },
    ]);
    expect([...policyTable.policies]).toEqual([['default', { name: 'default', ...DEFAULT_POLICY }]]);
    expect(policyTable.defaultPolicy).toBe(policyTable.policies.get('default'));
    expect(policyTable.routes).toMatchObject([]);
    expect(origins.size).toBe(0);
  });

  it('the secret is the value of the variable', () => {
    const [key] = configOf(undefined).keys;
    expect(key?.location).toMatchObject({ secret: { fingerprint: Secret.parse(SECRET).fingerprint } });
  });

  it('the secret may be in a file, which is not opened', () => {
    const { keys } = configOf(undefined, { APPROOV_BASE64_SECRET_FILE: '/nowhere/secret' });
    expect(keys).toEqual([
      {
        id: 'env',
        format: 'secret',
        location: { file: '/nowhere/secret' },
        kid: undefined,
        algorithms: undefined,
        hosts: undefined,
        path: 'APPROOV_BASE64_SECRET_FILE',
      },
    ]);
  });

  it('every variable sets its field', () => {
    const { settings, origins } = configOf(undefined, {
      ...ENV,
      APPROOV_MODE: 'observe',
      APPROOV_BINDING_HEADER: 'Authorization',
      APPROOV_GRPC_LISTEN: 'unix:/run/authz.sock',
      APPROOV_ADMIN_LISTEN: '[::1]:9002',
      LOG_LEVEL: 'DEBUG',
      APPROOV_EXT_AUTHZ_SERVICE_HOST: '10.0.0.1',
    });
    expect(settings).toEqual({
      ...DEFAULTS,
      listen: {
        grpc: { kind: 'unix', path: '/run/authz.sock' },
        admin: { kind: 'tcp', host: '::1', port: 9002 },
        unixSocketMode: '0660',
        transport: 'grpc-js',
      },
      policies: {
        default: {
          ...DEFAULT_POLICY,
          mode: 'observe',
          binding: { headers: ['authorization'], when: 'if-present' },
        },
      },
      log: { level: 'debug', checks: 'failures', format: 'auto' },
    });
    expect([...origins.keys()].sort()).toEqual([
      'listen.admin',
      'listen.grpc',
      'log.level',
      'policies.default.binding',
      'policies.default.mode',
    ]);
  });

  it.each([
    ['INFO', 'info'],
    ['Warn', 'warn'],
    ['warning', 'warn'],
    ['WARNING', 'warn'],
    ['Silent', 'silent'],
  ])('the log level %s is %s, in the variable as in the file', (text, level) => {
    expect(configOf(undefined, { ...ENV, LOG_LEVEL: text }).settings.log.level).toBe(level);
    expect(configOf(`log: {level: ${text}}`).settings.log.level).toBe(level);
  });

  it('empty variables count as not set', () => {
    const names = [
      'APPROOV_BASE64_SECRET_FILE',
      'APPROOV_MODE',
      'APPROOV_BINDING_HEADER',
      'APPROOV_GRPC_LISTEN',
    ];
    const empty = Object.fromEntries(
      [...names, 'APPROOV_ADMIN_LISTEN', 'LOG_LEVEL'].map((name) => [name, '']),
    );
    expect(configOf(undefined, { ...ENV, ...empty }).settings).toEqual(DEFAULTS);
  });

  it.each([
    {
      name: 'no secret',
      env: {},
      expected:
        'keys: no key: set APPROOV_BASE64_SECRET or APPROOV_BASE64_SECRET_FILE, or keys in the file; the Approov CLI prints the secret: approov secret -get base64',
    },
    {
      name: 'an empty secret',
      env: { APPROOV_BASE64_SECRET: '' },
      expected:
        'keys: no key: set APPROOV_BASE64_SECRET or APPROOV_BASE64_SECRET_FILE, or keys in the file; the Approov CLI prints the secret: approov secret -get base64',
    },
    {
      name: 'a blank secret',
      env: { APPROOV_BASE64_SECRET: ' \n' },
      expected: 'APPROOV_BASE64_SECRET: the secret is empty',
    },
    {
      name: 'a secret of 31 bytes',
      env: { APPROOV_BASE64_SECRET: Buffer.alloc(31, 1).toString('base64') },
      expected: 'APPROOV_BASE64_SECRET: the secret decodes to 31 bytes; at least 32 are needed for HS256',
    },
    {
      name: 'a secret with another character',
      env: { APPROOV_BASE64_SECRET: `${SECRET}!` },
      expected: 'APPROOV_BASE64_SECRET: the secret (89 characters) is neither base64 nor base64url',
    },
    {
      name: 'both variables',
      env: { ...ENV, APPROOV_BASE64_SECRET_FILE: '/s' },
      expected: 'APPROOV_BASE64_SECRET: set together with APPROOV_BASE64_SECRET_FILE: give one',
    },
    {
      name: 'an unknown mode',
      env: { ...ENV, APPROOV_MODE: 'on' },
      expected: 'APPROOV_MODE: "on" is not a mode (off, observe, limit, enforce)',
    },
    {
      name: 'a bound header that is not a header name',
      env: { ...ENV, APPROOV_BINDING_HEADER: 'Authorization:' },
      expected: 'APPROOV_BINDING_HEADER: "Authorization:" must be a header name',
    },
    {
      name: 'an address without port',
      env: { ...ENV, APPROOV_GRPC_LISTEN: 'localhost' },
      expected: 'APPROOV_GRPC_LISTEN: "localhost" must be host:port, [v6]:port or unix:/path',
    },
    {
      name: 'a socket for the admin pages',
      env: { ...ENV, APPROOV_ADMIN_LISTEN: 'unix:/run/admin.sock' },
      expected: 'APPROOV_ADMIN_LISTEN: "unix:/run/admin.sock" must be host:port or [v6]:port',
    },
    {
      name: 'an unknown log level',
      env: { ...ENV, LOG_LEVEL: 'loud' },
      expected: 'LOG_LEVEL: "loud" is not a log level (trace, debug, info, warn, error, fatal, silent)',
    },
  ])('$name is an error', ({ env, expected }) => {
    expect(problemsOf(undefined, env)).toEqual([expected]);
  });
});

describe('the proxy', () => {
  const AT_URL = 'keys: [{id: a, jwksUrl: "https://a.test/"}]';

  it.each<[what: string, env: Record<string, string>, proxy: object | undefined]>([
    ['a URL', { HTTPS_PROXY: 'http://u:p@proxy:3128' }, { url: 'http://u:p@proxy:3128', except: '' }],
    ['a host and port', { HTTPS_PROXY: 'proxy:3128' }, { url: 'http://proxy:3128', except: '' }],
    [
      'one with exceptions',
      { HTTPS_PROXY: 'https://proxy', NO_PROXY: 'a.test,.local' },
      { url: 'https://proxy', except: 'a.test,.local' },
    ],
    [
      'both cases',
      { HTTPS_PROXY: 'http://A', https_proxy: 'http://b', NO_PROXY: 'C', no_proxy: 'd' },
      { url: 'http://b', except: 'd' },
    ],
    ['nothing', { HTTPS_PROXY: '', NO_PROXY: 'a.test' }, undefined],
    ['a proxy for plain http', { HTTP_PROXY: 'http://proxy' }, undefined],
  ])('is read from the environment: %s', (_what, env, proxy) => {
    expect(configOf(AT_URL, env).proxy).toEqual(proxy);
  });

  it('is ignored if no key is at a URL', () => {
    expect(configOf(undefined, { ...ENV, HTTPS_PROXY: 'socks5://a.test' }).proxy).toBeUndefined();
  });
});

describe('with a file', () => {
  it('every field is read', () => {
    const { settings, keys, decryptionKeys, policyTable } = configOf(
      `
listen: {grpc: "[::]:9001", admin: 127.0.0.1:0, unixSocketMode: "0600", transport: lean, tls: {certFile: /c, keyFile: /k, clientCaFile: /a}}
keys:
  - {id: current, secretFile: /s}
  - {id: next-1, secretFile: /n, kid: j3AWy6, algorithms: [HS384, HS512], hosts: ["*.Example.com", b.test]}
  - {id: set, jwksFile: /j}
  - {id: url, jwksUrl: "https://a.test/jwks", caFile: /ca}
  - {id: pem, pemFile: /p, algorithms: [RS256, Ed25519]}
decryptionKeys:
  - {id: open, secretFile: /d}
  - {id: own, kid: j3AWy7, privateKeyFile: /k, keyManagementAlgorithms: [RSA-OAEP-256], contentEncryptionAlgorithms: [A256GCM]}
defaultPolicy: strict
policies:
  strict:
    mode: limit
    tokenHeader: Authorization
    tokenPrefix: "Bearer "
    binding: {headers: [X-Session, x-device], when: required}
    issuer: acme.approov.io
    audience: host
    clockToleranceSeconds: 300
    allowCorsPreflight: false
    forwardToken: false
    forwardClaims: [did, ip, arc, iss, aud, sub]
  lists: {issuer: [a, b], audience: [c, d], binding: {headers: [x-session]}}
  single: {audience: api.example.com}
  open: {mode: off}
routes:
  - {host: API.example.com., pathPrefix: /healthz/, methods: [GET, HEAD], policy: open}
  - {host: "*.Example.com:443", pathPrefix: /, policy: lists}
  - {policy: single}
denied: {status: 403, body: "<p>no</p>", contentType: text/html; charset=utf-8, exposeReason: true, headers: {Retry-After: "30"}}
log: {level: silent, checks: all}
tokenCache: {maxEntries: 0}
drain: {delaySeconds: 0, timeoutSeconds: 1.5}
connection: {maxAgeSeconds: 60, maxConcurrentStreams: 100}
limits: {messageBytes: 1024, grpcMetadataBytes: 2048, connections: 1}
workers: auto
`,
      {},
    );
    expect(settings).toMatchObject({
      listen: {
        grpc: { host: '::', port: 9001 },
        admin: { port: 0 },
        unixSocketMode: '0600',
        transport: 'lean',
        tls: { certFile: '/c', keyFile: '/k', clientCaFile: '/a' },
      },
      denied: {
        status: 403,
        body: '<p>no</p>',
        contentType: 'text/html; charset=utf-8',
        exposeReason: true,
        headers: { 'retry-after': '30' },
      },
      log: { level: 'silent', checks: 'all', format: 'auto' },
      tokenCache: { maxEntries: 0 },
      drain: { delaySeconds: 0, timeoutSeconds: 1.5 },
      connection: { maxAgeSeconds: 60, maxConcurrentStreams: 100 },
      limits: { messageBytes: 1024, grpcMetadataBytes: 2048, connections: 1 },
      workers: 'auto',
    });
    const key = { kid: undefined, algorithms: undefined, hosts: undefined };
    expect(keys).toEqual([
      { ...key, id: 'current', format: 'secret', location: { file: '/s' }, path: 'keys[0].secretFile' },
      {
        id: 'next-1',
        format: 'secret',
        location: { file: '/n' },
        kid: 'j3AWy6',
        algorithms: ['HS384', 'HS512'],
        hosts: ['*.Example.com', 'b.test'],
        path: 'keys[1].secretFile',
      },
      { ...key, id: 'set', format: 'jwks', location: { file: '/j' }, path: 'keys[2].jwksFile' },
      {
        ...key,
        id: 'url',
        format: 'jwks',
        location: { url: 'https://a.test/jwks', caFile: '/ca' },
        path: 'keys[3].jwksUrl',
      },
      {
        ...key,
        id: 'pem',
        format: 'pem',
        location: { file: '/p' },
        algorithms: ['RS256', 'EdDSA'],
        path: 'keys[4].pemFile',
      },
    ]);
    expect(decryptionKeys).toEqual([
      {
        id: 'open',
        kid: undefined,
        format: 'secret',
        file: '/d',
        algorithms: undefined,
        contentEncryptionAlgorithms: undefined,
        isNested: true,
        path: 'decryptionKeys[0].secretFile',
      },
      {
        id: 'own',
        kid: 'j3AWy7',
        format: 'private',
        file: '/k',
        keyManagementAlgorithms: ['RSA-OAEP-256'],
        contentEncryptionAlgorithms: ['A256GCM'],
        isNested: true,
        path: 'decryptionKeys[1].privateKeyFile',
      },
    ]);
    const { strict, lists, single, open } = Object.fromEntries(policyTable.policies);
    expect([...policyTable.policies.keys()]).toEqual(['strict', 'lists', 'single', 'open']);
    expect(policyTable.defaultPolicy).toBe(strict);
    expect(strict).toEqual({
      name: 'strict',
      mode: 'limit',
      tokenHeader: 'authorization',
      tokenPrefix: 'bearer ',
      binding: { headers: ['x-session', 'x-device'], when: 'required' },
      issuer: ['acme.approov.io'],
      audience: 'host',
      clockToleranceSeconds: 300,
      allowCorsPreflight: false,
      forwardToken: false,
      forwardClaims: ['did', 'ip', 'arc', 'iss', 'aud', 'sub'],
      messageSignature: null,
    });
    expect(lists).toMatchObject({
      issuer: ['a', 'b'],
      audience: ['c', 'd'],
      binding: { when: 'if-present' },
    });
    expect(single).toMatchObject({ audience: ['api.example.com'] });
    expect(open).toEqual({ ...DEFAULT_POLICY, name: 'open', mode: 'off' });
    expect(policyTable.routes).toMatchObject([
      { host: 'api.example.com', pathPrefix: '/healthz', methods: ['GET', 'HEAD'], policy: open },
      { host: '*.example.com', pathPrefix: '', methods: undefined, policy: lists },
      { host: undefined, pathPrefix: undefined, methods: undefined, policy: single },
    ]);
  });

  it.each([
    { name: 'an empty file', text: '' },
    { name: 'a comment', text: '# nothing' },
    { name: 'an empty mapping', text: '{}' },
    { name: 'empty policies', text: 'policies:' },
    { name: 'policies that do not name the default', text: 'policies: {}' },
  ])('$name equals having no file', ({ text }) => {
    expect(configOf(text).settings).toEqual(DEFAULTS);
  });

  it('the default policy exists beside others, with the strict defaults', () => {
    const { policyTable } = configOf('policies: {open: {mode: off}}');
    expect(policyTable.defaultPolicy).toEqual({ ...DEFAULT_POLICY, name: 'default' });
  });

  it('variables override the file, in the policy that defaultPolicy names', () => {
    const { settings, policyTable } = configOf(
      `${KEYS}defaultPolicy: a\npolicies: {a: {mode: enforce, tokenHeader: t}, default: {}}\nlog: {level: warn}`,
      { APPROOV_MODE: 'observe', APPROOV_BINDING_HEADER: 'x-session', LOG_LEVEL: 'error' },
    );
    expect(policyTable.policies.get('a')).toMatchObject({
      mode: 'observe',
      tokenHeader: 't',
      binding: { headers: ['x-session'], when: 'if-present' },
    });
    expect(policyTable.policies.get('default')).toMatchObject({ mode: 'enforce', binding: null });
    expect(settings.log.level).toBe('error');
  });

  it('a binding header from the environment replaces the file’s binding as a whole', () => {
    const text = 'policies: {default: {binding: {headers: [a, b], when: required}}}';
    const { policyTable } = configOf(text, { ...ENV, APPROOV_BINDING_HEADER: 'c' });
    expect(policyTable.defaultPolicy.binding).toEqual({ headers: ['c'], when: 'if-present' });
  });

  it('a variable overrides an invalid value of the file', () => {
    expect(configOf('log: {level: loud}', { ...ENV, LOG_LEVEL: 'warn' }).settings.log.level).toBe('warn');
  });
});

describe('a section whose every line is commented out', () => {
  it.each([
    'listen:',
    'listen: {tls: }',
    'decryptionKeys:',
    'policies:',
    'policies: {default: }',
    'policies: {default: {binding: , denied: , issuer: , audience: }}',
    'routes:',
    'denied:',
    'denied: {headers: }',
    'log:',
    'tokenCache:',
    'drain:',
    'connection:',
    'limits:',
    'keys: ~',
  ])('counts as omitted: %s', (text) => {
    expect(configOf(text).settings).toEqual(DEFAULTS);
  });

  it('can be set by variables', () => {
    const env = { ...ENV, APPROOV_MODE: 'observe', APPROOV_GRPC_LISTEN: '127.0.0.1:0', LOG_LEVEL: 'warn' };
    const { settings } = configOf('policies:\n  default:\nlisten:\nlog:\n', env);
    expect(settings.policies['default']?.mode).toBe('observe');
    expect(settings.log.level).toBe('warn');
    expect(settings.listen.grpc).toMatchObject({ port: 0 });
  });

  it('has the strict defaults if it is a policy that a route names', () => {
    const { policyTable } = configOf(
      'policies: {default: {mode: "off"}, strict: }\nroutes: [{policy: strict}]',
    );
    expect(policyTable.policies.get('strict')?.mode).toBe('enforce');
  });
});

describe('a YAML merge key', () => {
  it('adds the fields of another mapping, overridden by those beside it', () => {
    const { settings } = configOf(`
policies:
  default: &base {mode: limit, tokenHeader: x-token, clockToleranceSeconds: 5}
  strict:
    <<: *base
    mode: enforce
`);
    expect(settings.policies['strict']).toEqual({
      ...DEFAULT_POLICY,
      mode: 'enforce',
      tokenHeader: 'x-token',
      clockToleranceSeconds: 5,
    });
    expect(settings.policies['default']?.mode).toBe('limit');
  });

  it('adds the fields of several mappings, of which the first wins', () => {
    const { settings } = configOf(`
policies:
  default: &a {mode: limit}
  b: &b {mode: observe, tokenHeader: x-b}
  c: {<<: [*a, *b]}
`);
    expect(settings.policies['c']).toMatchObject({ mode: 'limit', tokenHeader: 'x-b' });
  });

  it('does not leak a variable’s override into another policy', () => {
    const { settings } = configOf('policies:\n  default: &base {mode: limit}\n  b: {<<: *base}', {
      ...ENV,
      APPROOV_MODE: 'observe',
    });
    expect([settings.policies['default']?.mode, settings.policies['b']?.mode]).toEqual(['observe', 'limit']);
  });
});

describe('a policy with messageSignature', () => {
  const DEFAULT_SIGNATURE = {
    install: 'when-ipk',
    account: 'off',
    requiredComponents: 'default',
    contentDigest: 'if-present',
    maxAgeSeconds: 300,
    clockToleranceSeconds: 60,
    replay: 'off',
    externalScheme: 'https',
    externalHost: null,
    acceptDerSignatures: false,
  };
  const signatureOf = (section: string) =>
    configOf(`policies: {default: {tokenHeader: X-Token, messageSignature: ${section}}}`).policyTable
      .defaultPolicy.messageSignature;

  it.each(['{}', '{install: when-ipk}'])('has the defaults, and the token header, with %s', (section) => {
    expect(signatureOf(section)).toEqual({ ...DEFAULT_SIGNATURE, tokenHeader: 'x-token' });
  });

  it('that is empty checks no signature, as without one', () => {
    expect(signatureOf('')).toBe(null);
  });

  it('has every field as given, and headers in lower case', () => {
    const text = `
messageSigningKeys: [{id: a, mskid: j3AWy6, secretFile: /a}]
replayStore: {url: "redis://redis:6379"}
policies:
  default:
    messageSignature:
      install: required
      account: when-mskid
      requiredComponents: ["@method", "@target-uri", Approov-Token]
      contentDigest: required
      maxAgeSeconds: 20
      clockToleranceSeconds: 0.5
      replay: shared
      externalScheme: http
      externalHost: api.example.com:8080
      acceptDerSignatures: true`;
    const { policyTable, messageSigningKeys, settings } = configOf(text);
    expect(policyTable.defaultPolicy.messageSignature).toEqual({
      install: 'required',
      account: 'when-mskid',
      requiredComponents: ['@method', '@target-uri', 'approov-token'],
      contentDigest: 'required',
      maxAgeSeconds: 20,
      clockToleranceSeconds: 0.5,
      replay: 'shared',
      externalScheme: 'http',
      externalHost: 'api.example.com:8080',
      acceptDerSignatures: true,
      tokenHeader: 'approov-token',
    });
    expect(messageSigningKeys).toEqual([
      { id: 'a', mskid: 'j3AWy6', file: '/a', path: 'messageSigningKeys[0].secretFile' },
    ]);
    expect(settings.replayStore).toEqual({ url: 'redis://redis:6379', timeoutMs: 20, onError: 'deny' });
  });
});
