/** Tests the printed effective configuration: complete, with origins, and without secrets. */
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Config } from '../../../src/config/config.ts';
import type { Env } from '../../../src/config/env.ts';
import { formatConfig } from '../../../src/config/format-config.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { SECRET } from '../../support/token.ts';

function configOf(text: string | undefined, env: Env): Config {
  const { config, problems } = parseConfig(text, env);
  expect(problems).toEqual([]);
  return config as Config;
}

type Loaded = Parameters<typeof formatConfig>[0]['keys'][number];
const NO_OTHER_KEYS = { decryptionKeys: [], messageSigningKeys: [] };

/** As if each configured key had loaded as one key with this fingerprint. */
function print(config: Config, fingerprint = '0123456789ab', kid?: string): string {
  const keys: Loaded['keys'] = [{ kid, algorithms: ['HS256'], fingerprint }];
  return formatConfig({
    ...NO_OTHER_KEYS,
    config,
    keys: config.keys.map((key) => ({ config: key, keys })),
  });
}

describe('the effective configuration', () => {
  it('hides a secret pasted as the kid of a key or of a decryption key', () => {
    const text = `
keys: [{id: a, secretFile: /a, kid: "${SECRET}"}, {id: b, secretFile: /b, kid: "2024-a"}]
decryptionKeys: [{id: c, secretFile: /c, kid: "${Buffer.from(SECRET, 'base64').toString('hex')}"}]`;
    const printed = parse(print(configOf(text, {})));
    const hidden = '[hidden: it looks like a secret]';
    expect(printed.keys.map(({ kid }: { kid: string }) => kid)).toEqual([hidden, '2024-a']);
    expect(printed.decryptionKeys[0].kid).toBe(hidden);
  });

  it('shows every default, and which variable set a value', () => {
    const config = configOf(undefined, {
      APPROOV_BASE64_SECRET: SECRET,
      APPROOV_MODE: 'observe',
      APPROOV_BINDING_HEADER: 'authorization',
      APPROOV_GRPC_LISTEN: 'unix:/run/authz.sock',
      LOG_LEVEL: 'warn',
    });
    expect(print(config)).toBe(`listen:
  grpc: unix:/run/authz.sock # from APPROOV_GRPC_LISTEN
  admin: 127.0.0.1:9002
  unixSocketMode: "0660"
  transport: grpc-js
decryptionKeys: []
messageSigningKeys: []
defaultPolicy: default
policies:
  default:
    mode: observe # from APPROOV_MODE
    tokenHeader: approov-token
    tokenPrefix: ""
    binding:
      # from APPROOV_BINDING_HEADER
      headers:
        - authorization
      when: if-present
    issuer: null
    audience: null
    clockToleranceSeconds: 0
    allowCorsPreflight: true
    forwardToken: true
    forwardClaims: []
    messageSignature: null
routes: []
denied:
  status: 401
  body: "{}"
  contentType: application/json
  exposeReason: false
  headers: {}
log:
  level: warn # from LOG_LEVEL
  checks: failures
  format: auto
tokenCache:
  maxEntries: 10000
drain:
  delaySeconds: 5
  timeoutSeconds: 20
connection:
  maxAgeSeconds: 600
  maxConcurrentStreams: 256
limits:
  messageBytes: 262144
  grpcMetadataBytes: 65536
  connections: 10000
workers: 1
rollout:
  minHours: 24
  minChecks: 10000
  maxWouldDenyPercent: 0.1
  maxWorstHourPercent: 1
  minHourTrafficPercent: 1
  maxInternalErrors: 0
  minNewestVerifiedPercent: 99.9
keys:
  - id: env # from APPROOV_BASE64_SECRET
    fingerprint: 0123456789ab
    algorithms:
      - HS256
`);
  });

  it('has no notes if the environment set nothing', () => {
    const config = configOf('keys: [{id: a, secretFile: /a}]', {});
    expect(print(config)).not.toContain('#');
  });

  it('notes a variable at the policy that defaultPolicy names', () => {
    const text =
      'defaultPolicy: strict\npolicies: {strict: {}, open: {mode: off}}\nkeys: [{id: a, secretFile: /a}]';
    const printed = print(configOf(text, { APPROOV_MODE: 'limit' }));
    expect(printed.match(/^ {2}strict:\n {4}mode: limit # from APPROOV_MODE$/m)).not.toBeNull();
    expect(printed.match(/# from/g)).toHaveLength(1);
  });

  it('has the notes that it is given, next to that of a variable', () => {
    const config = configOf('policies: {open: {mode: off}}', {
      APPROOV_BASE64_SECRET: SECRET,
      APPROOV_MODE: 'limit',
    });
    const notes = ['default', 'open', 'removed'].map(
      (name) => [`policies.${name}.mode`, 'overridden'] as const,
    );
    const printed = formatConfig({ ...NO_OTHER_KEYS, config, keys: [] }, new Map(notes));
    expect(printed).toContain('    mode: off # overridden\n');
    expect(printed).toContain('    mode: limit # from APPROOV_MODE; overridden\n');
    expect(parse(printed)).toMatchObject({ policies: { open: { mode: 'off' }, default: { mode: 'limit' } } });
  });

  it('shows the file of a secret and which variable set its path', () => {
    const config = configOf(undefined, { APPROOV_BASE64_SECRET_FILE: '/run/secret' });
    expect(parse(print(config))['keys']).toEqual([
      { id: 'env', fingerprint: '0123456789ab', secretFile: '/run/secret', algorithms: ['HS256'] },
    ]);
    expect(print(config)).toContain('# from APPROOV_BASE64_SECRET_FILE');
  });

  it('shows keys by id and fingerprint', () => {
    const config = configOf(
      'keys: [{id: a, secretFile: /a, kid: j3AWy6}, {id: b, pemFile: /b, algorithms: [ES256], hosts: [b.test]}]',
      {},
    );
    const loaded: Loaded[] = config.keys.map((key) => ({
      config: key,
      keys: [{ kid: key.kid, algorithms: ['HS256'], fingerprint: key.id.repeat(12) }],
    }));
    expect(parse(formatConfig({ ...NO_OTHER_KEYS, config, keys: loaded }))['keys']).toEqual([
      { id: 'a', fingerprint: 'aaaaaaaaaaaa', secretFile: '/a', kid: 'j3AWy6', algorithms: ['HS256'] },
      { id: 'b', fingerprint: 'bbbbbbbbbbbb', pemFile: '/b', algorithms: ['ES256'], hosts: ['b.test'] },
    ]);
  });

  it('shows each key of a JWK Set file, and none of a URL, which is not fetched', () => {
    const config = configOf(
      'keys: [{id: file, jwksFile: /j}, {id: url, jwksUrl: "https://a.test/jwks", algorithms: [RS256]}]',
      {},
    );
    const [file, url] = config.keys;
    const loaded = [
      {
        config: file as Loaded['config'],
        keys: [
          { kid: 'k1', algorithms: ['ES256'], fingerprint: '111111111111' },
          { kid: undefined, algorithms: ['EdDSA'], fingerprint: '222222222222' },
        ],
      },
      { config: url as Loaded['config'], keys: undefined },
    ] satisfies Loaded[];
    expect(parse(formatConfig({ ...NO_OTHER_KEYS, config, keys: loaded }))['keys']).toEqual([
      {
        id: 'file',
        jwks: [
          { kid: 'k1', algorithms: ['ES256'], fingerprint: '111111111111' },
          { kid: null, algorithms: ['EdDSA'], fingerprint: '222222222222' },
        ],
        jwksFile: '/j',
        algorithms: ['ES256', 'EdDSA'],
      },
      { id: 'url', jwks: [], jwksUrl: 'https://a.test/jwks', algorithms: ['RS256'] },
    ]);
  });

  it.each([
    ['https://a.test/jwks', 'https://a.test/jwks'],
    ['https://a.test/jwks?token=planted#planted', 'https://a.test/jwks?[hidden]'],
    ['https://a.test/jwks#planted?planted', 'https://a.test/jwks#[hidden]'],
  ])('shows the URL %s without query and fragment', (jwksUrl, expected) => {
    const printed = print(configOf(JSON.stringify({ keys: [{ id: 'a', jwksUrl }] }), {}));
    expect(parse(printed)['keys'][0].jwksUrl).toBe(expected);
    expect(printed).not.toContain('planted');
  });

  it('notes which URLs may be fetched through the proxy, but does not show the proxy', () => {
    const config = configOf('keys: [{id: a, jwksUrl: "https://a.test/jwks", caFile: /ca}]', {
      HTTPS_PROXY: 'http://user:planted@proxy.test',
    });
    const printed = print(config);
    expect(printed).toContain(
      'jwksUrl: https://a.test/jwks # through HTTPS_PROXY, unless NO_PROXY has the host\n    caFile: /ca\n',
    );
    expect(printed).not.toContain('proxy.test');
  });

  it('shows decryption keys by id and fingerprint, with their algorithms', () => {
    const config = configOf(
      'decryptionKeys: [{id: a, secretFile: /a, contentEncryptionAlgorithms: [A256GCM]}]',
      {
        APPROOV_BASE64_SECRET: SECRET,
      },
    );
    const printed = formatConfig({
      ...NO_OTHER_KEYS,
      config,
      keys: [],
      decryptionKeys: [
        {
          fingerprint: '0123456789ab',
          keyManagementAlgorithms: ['dir'],
          contentEncryptionAlgorithms: ['A256GCM'],
        },
      ],
    });
    expect(parse(printed)['decryptionKeys']).toEqual([
      {
        id: 'a',
        fingerprint: '0123456789ab',
        secretFile: '/a',
        contentEncryptionAlgorithms: ['A256GCM'],
        nested: true,
        keyManagementAlgorithms: ['dir'],
      },
    ]);
  });

  it('never contains the secret', () => {
    const config = configOf(undefined, { APPROOV_BASE64_SECRET: SECRET });
    const printed = print(config);
    for (let at = 0; at + 8 <= SECRET.length; at += 4)
      expect(printed).not.toContain(SECRET.slice(at, at + 8));
  });

  it('parses as the same configuration', () => {
    const text = `
listen: {grpc: "[::1]:1", unixSocketMode: "0600"}
keys: [{id: a, secretFile: "/a b: c", algorithms: [HS256]}]
policies: {default: {tokenPrefix: "Bearer ", issuer: ["1", "null"], binding: {headers: [x]}}, open: {mode: off}}
routes: [{host: API.example.com, pathPrefix: "/a%20b/", methods: [GET], policy: open}]
denied: {body: "line 1\\nline 2 # no comment", status: 403}
`;
    const config = configOf(text, {});
    const { keys, ...rest } = parse(print(config)) as { keys: { fingerprint?: unknown }[] };
    const again = JSON.stringify({ ...rest, keys: keys.map(({ fingerprint: _, ...key }) => key) });
    const { settings, policyTable } = configOf(again, {});
    expect(settings).toEqual({ ...config.settings, keys: settings.keys });
    expect(policyTable).toEqual(config.policyTable);
    expect(settings.keys).toEqual(config.settings.keys);
  });

  it('shows message signing keys by id and fingerprint, and hides a key pasted as the mskid', () => {
    const text = `messageSigningKeys: [{id: a, mskid: j3AWy6, secretFile: /a}, {id: b, mskid: "${SECRET}", secretFile: /b}]`;
    const printed = formatConfig({
      ...NO_OTHER_KEYS,
      config: configOf(text, { APPROOV_BASE64_SECRET: SECRET }),
      keys: [],
      messageSigningKeys: [{ fingerprint: '0123456789ab' }, { fingerprint: 'ba9876543210' }],
    });
    expect(parse(printed)['messageSigningKeys']).toEqual([
      { id: 'a', fingerprint: '0123456789ab', mskid: 'j3AWy6', secretFile: '/a' },
      {
        id: 'b',
        fingerprint: 'ba9876543210',
        mskid: '[hidden: it looks like a secret]',
        secretFile: '/b',
      },
    ]);
  });

  it('shows the replay store with its defaults, and the files but not their content', () => {
    const text = 'replayStore: {url: "rediss://redis:6379", caFile: /ca, usernameFile: /u, passwordFile: /p}';
    const printed = print(configOf(text, { APPROOV_BASE64_SECRET: SECRET }));
    expect(parse(printed)['replayStore']).toEqual({
      url: 'rediss://redis:6379',
      timeoutMs: 20,
      onError: 'deny',
      caFile: '/ca',
      usernameFile: '/u',
      passwordFile: '/p',
    });
  });
});
