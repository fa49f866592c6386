/** Owns the proof of how the effective configuration is printed: complete, marked, and without a secret. */
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

type Loaded = Parameters<typeof formatConfig>[1][number];

/** As if each source held one key with this fingerprint. */
function print(config: Config, fingerprint = '0123456789ab', kid?: string): string {
  const keys: Loaded['keys'] = [{ kid, algorithms: ['HS256'], fingerprint }];
  return formatConfig(
    config,
    config.keys.map((source) => ({ source, keys })),
    [],
  );
}

describe('the effective configuration', () => {
  it('of an environment holds every default, and says what each variable set', () => {
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
decryptionKeys: []
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
keys:
  - id: env # from APPROOV_BASE64_SECRET
    fingerprint: 0123456789ab
    algorithms:
      - HS256
`);
  });

  it('marks nothing where the environment set nothing', () => {
    const config = configOf('keys: [{id: a, secretFile: /a}]', {});
    expect(print(config)).not.toContain('#');
  });

  it('marks the policy that defaultPolicy names', () => {
    const text =
      'defaultPolicy: strict\npolicies: {strict: {}, open: {mode: off}}\nkeys: [{id: a, secretFile: /a}]';
    const printed = print(configOf(text, { APPROOV_MODE: 'limit' }));
    expect(printed.match(/^ {2}strict:\n {4}mode: limit # from APPROOV_MODE$/m)).not.toBeNull();
    expect(printed.match(/# from/g)).toHaveLength(1);
  });

  it('tells the file of a secret and where its path came from', () => {
    const config = configOf(undefined, { APPROOV_BASE64_SECRET_FILE: '/run/secret' });
    expect(parse(print(config))['keys']).toEqual([
      { id: 'env', fingerprint: '0123456789ab', secretFile: '/run/secret', algorithms: ['HS256'] },
    ]);
    expect(print(config)).toContain('# from APPROOV_BASE64_SECRET_FILE');
  });

  it('tells keys by id and fingerprint, each its own', () => {
    const { keys, ...rest } = configOf(
      'keys: [{id: a, secretFile: /a, kid: j3AWy6}, {id: b, pemFile: /b, algorithms: [ES256], hosts: [b.test]}]',
      {},
    );
    const loaded: Loaded[] = keys.map((source) => ({
      source,
      keys: [{ kid: source.kid, algorithms: ['HS256'], fingerprint: source.id.repeat(12) }],
    }));
    expect(parse(formatConfig({ keys, ...rest }, loaded, []))['keys']).toEqual([
      { id: 'a', fingerprint: 'aaaaaaaaaaaa', secretFile: '/a', kid: 'j3AWy6', algorithms: ['HS256'] },
      { id: 'b', fingerprint: 'bbbbbbbbbbbb', pemFile: '/b', algorithms: ['ES256'], hosts: ['b.test'] },
    ]);
  });

  it('tells each key of a JWK Set, and none of a URL that is not read here', () => {
    const config = configOf(
      'keys: [{id: file, jwksFile: /j}, {id: url, jwksUrl: "https://a.test/jwks", algorithms: [RS256]}]',
      {},
    );
    const [file, url] = config.keys;
    const loaded = [
      {
        source: file as Loaded['source'],
        keys: [
          { kid: 'k1', algorithms: ['ES256'], fingerprint: '111111111111' },
          { kid: undefined, algorithms: ['EdDSA'], fingerprint: '222222222222' },
        ],
      },
      { source: url as Loaded['source'], keys: undefined },
    ] satisfies Loaded[];
    expect(parse(formatConfig(config, loaded, []))['keys']).toEqual([
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
  ])('tells the URL %s without what may open it', (jwksUrl, expected) => {
    const printed = print(configOf(JSON.stringify({ keys: [{ id: 'a', jwksUrl }] }), {}));
    expect(parse(printed)['keys'][0].jwksUrl).toBe(expected);
    expect(printed).not.toContain('planted');
  });

  it('tells where the proxy of the environment may be used, and the CA, but not the proxy', () => {
    const config = configOf('keys: [{id: a, jwksUrl: "https://a.test/jwks", caFile: /ca}]', {
      HTTPS_PROXY: 'http://user:planted@proxy.test',
    });
    const printed = print(config);
    expect(printed).toContain(
      'jwksUrl: https://a.test/jwks # through HTTPS_PROXY, unless NO_PROXY has the host\n    caFile: /ca\n',
    );
    expect(printed).not.toContain('proxy.test');
  });

  it('tells decryption keys by id and fingerprint, with the algorithms that they allow', () => {
    const config = configOf(
      'decryptionKeys: [{id: a, secretFile: /a, contentEncryptionAlgorithms: [A256GCM]}]',
      {
        APPROOV_BASE64_SECRET: SECRET,
      },
    );
    const printed = formatConfig(
      config,
      [],
      [
        {
          fingerprint: '0123456789ab',
          keyManagementAlgorithms: ['dir'],
          contentEncryptionAlgorithms: ['A256GCM'],
        },
      ],
    );
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

  it('never holds the secret', () => {
    const config = configOf(undefined, { APPROOV_BASE64_SECRET: SECRET });
    const printed = print(config);
    for (let at = 0; at + 8 <= SECRET.length; at += 4)
      expect(printed).not.toContain(SECRET.slice(at, at + 8));
  });

  it('reads back as the same configuration', () => {
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
});
