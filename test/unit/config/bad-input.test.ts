/** Tests the exact lines that each bad configuration file is reported with. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { errorsOf, FOREIGN_WORDS, type Input, removeFiles, writeFiles } from '../../support/bad-input.ts';
import { SECRET } from '../../support/token.ts';

beforeAll(writeFiles);
afterAll(removeFiles);

const CASES: [name: string, input: Input, ...expected: string[]][] = [
  [
    'a bad proxy',
    {
      config: 'keys: [{id: a, jwksUrl: "https://a.example.com/"}]',
      env: { HTTPS_PROXY: 'socks5://user:pass@proxy' },
    },
    'HTTPS_PROXY: must be the URL of an HTTP proxy, such as http://proxy.example.com:3128',
  ],
  [
    'a misspelt mode',
    { config: 'policies:\n  default:\n    mode: observer' },
    'config.yaml:3:11: policies.default.mode: "observer" is not a mode; did you mean "observe"? (off, observe, limit, enforce)',
  ],
  [
    'a mode that another program unquoted',
    { config: 'policies:\n  default:\n    mode: false' },
    'config.yaml:3:11: policies.default.mode: false is not a mode; did you mean "off", which YAML 1.1 reads as false without quotes? (off, observe, limit, enforce)',
  ],
  [
    'an empty mode',
    { config: 'policies:\n  default:\n    mode:' },
    'config.yaml:3:10: policies.default.mode: must not be empty (off, observe, limit, enforce)',
  ],
  [
    'a policy that is a mode',
    { config: 'policies: {default: observe}' },
    'config.yaml:1:21: policies.default: must be a mapping, not "observe"; for example {mode: observe}',
  ],
  [
    'a policy that is a list',
    { config: 'policies: {default: [observe]}' },
    'config.yaml:1:21: policies.default: must be a mapping, not a list; for example {mode: observe}',
  ],
  [
    'policies that are a list',
    { config: 'policies:\n  - default' },
    'config.yaml:2:3: policies: must be a mapping, not a list; for example policies: {default: {mode: observe}}',
  ],
  [
    'policy for policies',
    { config: 'policy:\n  default: {}' },
    'config.yaml:1:1: policy: unknown field; did you mean policies?',
  ],
  [
    'an unknown field',
    { config: 'policies:\n  default:\n    colour: red' },
    'config.yaml:3:5: policies.default.colour: unknown field',
  ],
  [
    'a name of a policy in upper case',
    { config: 'policies: {Strict: {}}' },
    'config.yaml:1:12: policies.Strict: the name must be 1 to 32 of a-z, 0-9 and -',
  ],
  [
    'a binding that is a header',
    { config: 'policies: {default: {binding: authorization}}' },
    'config.yaml:1:31: policies.default.binding: must be a mapping, not "authorization"; for example binding: {headers: [authorization]}',
  ],
  [
    'a binding without headers',
    { config: 'policies: {default: {binding: {when: required}}}' },
    'config.yaml:1:22: policies.default.binding.headers: is required; for example headers: [authorization]',
  ],
  [
    'headers that are a string',
    { config: 'policies: {default: {binding: {headers: authorization}}}' },
    'config.yaml:1:41: policies.default.binding.headers: must be a list, not "authorization"; for example headers: [authorization]',
  ],
  [
    'a null header',
    { config: 'policies: {default: {binding: {headers: [null]}}}' },
    'config.yaml:1:42: policies.default.binding.headers[0]: must be a string, but is empty',
  ],
  [
    'a header that is no name',
    { config: 'policies: {default: {tokenHeader: Approov Token}}' },
    'config.yaml:1:35: policies.default.tokenHeader: "Approov Token" must be a header name',
  ],
  [
    'yes for true',
    { config: 'policies: {default: {forwardToken: yes}}' },
    'config.yaml:1:36: policies.default.forwardToken: must be true or false, not "yes"',
  ],
  [
    'a tolerance with a unit',
    { config: 'policies: {default: {clockToleranceSeconds: 5s}}' },
    'config.yaml:1:45: policies.default.clockToleranceSeconds: must be a number, not "5s"',
  ],
  [
    'a tolerance that is too large',
    { config: 'policies: {default: {clockToleranceSeconds: 900}}' },
    'config.yaml:1:45: policies.default.clockToleranceSeconds: 900 must be at most 300',
  ],
  [
    'a tolerance that is no number',
    { config: 'policies: {default: {clockToleranceSeconds: .nan}}' },
    'config.yaml:1:45: policies.default.clockToleranceSeconds: must be a number, not .nan',
  ],
  [
    'a claim that is not forwarded',
    { config: 'policies: {default: {forwardClaims: [pay]}}' },
    'config.yaml:1:38: policies.default.forwardClaims[0]: "pay" is not a claim that can be forwarded (did, ip, arc, iss, aud, sub)',
  ],
  [
    'an issuer with a wildcard',
    { config: 'policies: {default: {issuer: "*.example.com"}}' },
    'config.yaml:1:30: policies.default.issuer: must not have *, { or }: it is compared literally',
  ],
  [
    'an audience that is a number',
    { config: 'policies: {default: {audience: 5}}' },
    'config.yaml:1:32: policies.default.audience: 5 must be host, a non-empty string, or a list of them: quote a number',
  ],
  [
    'a route to a misspelt policy',
    { config: 'policies: {open: {mode: off}}\nroutes:\n  - {pathPrefix: /a, policy: opn}' },
    'config.yaml:3:30: routes[0].policy: unknown policy "opn"; did you mean open? known: open, default',
  ],
  [
    'a route without a policy',
    { config: 'routes:\n  - {pathPrefix: /a}' },
    'config.yaml:2:5: routes[0].policy: is required',
  ],
  [
    'a route that is a path',
    { config: 'routes:\n  - /healthz' },
    'config.yaml:2:5: routes[0]: must be a mapping, not "/healthz"; for example - {pathPrefix: /healthz, policy: open}',
  ],
  [
    'routes that are a mapping',
    { config: 'routes:\n  pathPrefix: /a' },
    'config.yaml:2:3: routes: must be a list, not a mapping; for example routes: [{pathPrefix: /healthz, policy: open}]',
  ],
  [
    'an empty route',
    { config: 'routes:\n  -' },
    'config.yaml:2:4: routes[0]: must be a mapping, but is empty; for example - {pathPrefix: /healthz, policy: open}',
  ],
  [
    'a path without a slash',
    { config: 'routes:\n  - {pathPrefix: healthz, policy: default}' },
    'config.yaml:2:18: routes[0].pathPrefix: "healthz" must begin with /',
  ],
  [
    'a path with a wildcard',
    { config: 'routes:\n  - {pathPrefix: "/api/*", policy: default}' },
    'config.yaml:2:18: routes[0].pathPrefix: "/api/*" must not have *, { or }: it is compared literally, and matches every path below it without them',
  ],
  [
    'a method in lower case',
    { config: 'routes:\n  - {methods: [get], policy: default}' },
    'config.yaml:2:16: routes[0].methods[0]: "get" must be a method in upper case, as clients send it',
  ],
  [
    'a host with a scheme',
    { config: 'routes:\n  - {host: "https://a.com", policy: default}' },
    'config.yaml:2:12: routes[0].host: must be a host such as api.example.com or *.example.com',
  ],
  [
    'a number for a host',
    { config: 'routes:\n  - {host: 127, policy: default}' },
    'config.yaml:2:12: routes[0].host: must be a string, but without quotes YAML reads it as a number: quote it',
  ],
  [
    'the same port twice',
    { config: 'listen:\n  grpc: 0.0.0.0:9001\n  admin: 127.0.0.1:9001' },
    'config.yaml:3:10: listen.admin: 127.0.0.1:9001 overlaps listen.grpc (0.0.0.0:9001); give each a port of its own',
  ],
  [
    'a port that is too large',
    { config: 'listen:\n  grpc: 0.0.0.0:90011' },
    'config.yaml:2:9: listen.grpc: "0.0.0.0:90011" must be host:port, [v6]:port or unix:/path; a port is at most 65535',
  ],
  [
    'a port alone',
    { config: 'listen:\n  grpc: 9001' },
    'config.yaml:2:9: listen.grpc: 9001 must be host:port, [v6]:port or unix:/path; for example 0.0.0.0:9001',
  ],
  [
    'an unquoted socket mode',
    { config: 'listen:\n  unixSocketMode: 0660' },
    'config.yaml:2:19: listen.unixSocketMode: must be a string of octal digits in quotes, such as "0660"',
  ],
  [
    'TLS without a key',
    { config: 'listen:\n  tls: {certFile: secret}' },
    'config.yaml:2:3: listen.tls.keyFile: is required',
  ],
  [
    'TLS that is a string',
    { config: 'listen:\n  tls: secret' },
    'config.yaml:2:8: listen.tls: must be a mapping, not "secret"; for example tls: {certFile: /etc/tls/tls.crt, keyFile: /etc/tls/tls.key}',
  ],
  [
    'a certificate without PEM',
    { config: 'listen:\n  tls: {certFile: secret, keyFile: secret}' },
    'config.yaml:2:19: listen.tls.certFile: secret: no certificate in PEM',
  ],
  [
    'a status that Envoy does not know',
    { config: 'denied: {status: 418}' },
    'config.yaml:1:18: denied.status: 418 must be a status that Envoy knows: 400-417, 421-424, 426, 428, 429, 431 or 500-508',
  ],
  [
    'a body that is a mapping',
    { config: 'denied: {body: {error: denied}}' },
    'config.yaml:1:16: denied.body: must be a string, not a mapping',
  ],
  [
    'a header value that is a number',
    { config: 'denied: {headers: {retry-after: 30}}' },
    'config.yaml:1:33: denied.headers.retry-after: must be a string, but without quotes YAML reads it as a number: quote it',
  ],
  [
    'an unknown log level',
    { config: 'log: {level: loud}' },
    'config.yaml:1:14: log.level: "loud" is not a log level (trace, debug, info, warn, error, fatal, silent)',
  ],
  [
    'a log level that is a list',
    { config: 'log: {level: [info]}' },
    'config.yaml:1:14: log.level: must be a string, not a list',
  ],
  [
    'a section that is a string',
    { config: 'log: debug' },
    'config.yaml:1:6: log: must be a mapping, not "debug"; for example log: {level: info}',
  ],
  [
    'workers that are a word',
    { config: 'workers: many' },
    'config.yaml:1:10: workers: "many" must be a whole number from 1, or auto',
  ],
  [
    'a negative number',
    { config: 'tokenCache: {maxEntries: -1}' },
    'config.yaml:1:26: tokenCache.maxEntries: -1 must be at least 0',
  ],
  [
    'a fraction',
    { config: 'limits: {connections: 1.5}' },
    'config.yaml:1:23: limits.connections: must be a whole number, not 1.5',
  ],
  [
    'infinity',
    { config: 'drain: {delaySeconds: .inf}' },
    'config.yaml:1:23: drain.delaySeconds: must be a number, not .inf',
  ],
  [
    'a default policy that does not exist',
    { config: 'defaultPolicy: strict\npolicies: {default: {}}' },
    'config.yaml:1:16: defaultPolicy: unknown policy "strict"; known: default',
  ],
  [
    'no keys in the list',
    { config: 'keys: []', env: {} },
    'config.yaml:1:7: keys: must name at least one key',
  ],
  [
    'a key without a source',
    { config: 'keys:\n  - id: a', env: {} },
    'config.yaml:2:5: keys[0]: must have exactly one of secretFile, jwksFile, jwksUrl, pemFile',
  ],
  [
    'a key with two sources',
    { config: 'keys:\n  - {id: a, secretFile: secret, pemFile: secret}', env: {} },
    'config.yaml:2:5: keys[0]: must have exactly one of secretFile, jwksFile, jwksUrl, pemFile',
  ],
  [
    'a key with secret for secretFile',
    { config: 'keys:\n  - {id: a, secret: secret}', env: {} },
    'config.yaml:2:5: keys[0]: must have exactly one of secretFile, jwksFile, jwksUrl, pemFile',
    'config.yaml:2:13: keys[0].secret: unknown field; did you mean secretFile?',
  ],
  [
    'a key that is a file name',
    { config: 'keys:\n  - secret', env: {} },
    'config.yaml:2:5: keys[0]: must be a mapping, not "secret"; for example - {id: current, secretFile: /run/secrets/approov/current}',
  ],
  [
    'a key that is null',
    { config: 'keys:\n  - null', env: {} },
    'config.yaml:2:5: keys[0]: must be a mapping, but is empty; for example - {id: current, secretFile: /run/secrets/approov/current}',
  ],
  [
    'an id that is taken',
    { config: 'keys:\n  - {id: a, secretFile: secret}\n  - {id: a, secretFile: secret}', env: {} },
    'config.yaml:3:10: keys[1].id: is taken by keys[0]',
  ],
  [
    'an id that is a number',
    { config: 'keys:\n  - {id: 2026, secretFile: secret}', env: {} },
    'config.yaml:2:10: keys[0].id: must be a string, but without quotes YAML reads it as a number: quote it',
  ],
  [
    'an unknown algorithm',
    { config: 'keys:\n  - {id: a, secretFile: secret, algorithms: [HS265]}', env: {} },
    'config.yaml:2:68: keys[0].algorithms[0]: "HS265" is not a signing algorithm; did you mean "HS256"? (HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519)',
  ],
  [
    'an algorithm of another kind',
    { config: 'keys:\n  - {id: a, secretFile: secret, algorithms: [RS256]}', env: {} },
    'config.yaml:2:67: keys[0].algorithms: RS256 does not go with a secretFile',
  ],
  [
    'a URL without https',
    { config: 'keys:\n  - {id: a, jwksUrl: "http://a.example.com/"}', env: {} },
    'config.yaml:2:22: keys[0].jwksUrl: must be a URL with https',
  ],
  [
    'a JWK Set that is cut off',
    { config: 'keys:\n  - {id: a, jwksFile: cut.json}', env: {} },
    'config.yaml:2:23: keys[0].jwksFile: cut.json:4:1: is not JSON: "," or "}" is missing here',
  ],
  [
    'a JWK Set that is a list',
    { config: 'keys:\n  - {id: a, jwksFile: list.json}', env: {} },
    'config.yaml:2:23: keys[0].jwksFile: list.json: is not a JWK Set, such as {"keys": […]}',
  ],
  [
    'a private JWK',
    { config: 'keys:\n  - {id: a, jwksFile: oct.json}', env: {} },
    'config.yaml:2:23: keys[0].jwksFile: oct.json: keys[0] is symmetric: secrets belong in a secretFile',
  ],
  [
    'a PEM file that is a secret',
    { config: 'keys:\n  - {id: a, pemFile: secret, algorithms: [ES256]}', env: {} },
    'config.yaml:2:22: keys[0].pemFile: secret: no public key in PEM',
  ],
  [
    'a missing key file',
    { config: 'keys:\n  - {id: a, secretFile: secrt}', env: {} },
    'config.yaml:2:25: keys[0].secretFile: secrt: no such file; did you mean secret?',
  ],
  [
    'keys in both places',
    { config: 'keys:\n  - {id: a, secretFile: secret}' },
    'config.yaml:2:3: keys: set together with APPROOV_BASE64_SECRET: give one',
  ],
  [
    'a tab',
    { config: 'log:\n	level: info' },
    'config.yaml:2:1: not valid YAML: a tab is used for indentation; use spaces',
  ],
  [
    'no space after a colon',
    { config: 'log:\n  level:info' },
    'config.yaml:2:3: log: must be a mapping; a space is missing after "level:"',
  ],
  [
    'an empty name',
    { config: 'policies: {"": {}}' },
    'config.yaml:1:12: policies."": the name must be 1 to 32 of a-z, 0-9 and -',
  ],
  ['a __proto__', { config: '__proto__: {}' }, 'config.yaml:1:1: __proto__: unknown field'],
];

it.each(CASES)('%s is reported in plain words', async (_name, input, ...expected) => {
  expect(await errorsOf(input)).toEqual(expected);
});

it('none of at least 70 inputs is reported in words of JavaScript', () => {
  expect(CASES.length).toBeGreaterThanOrEqual(70);
  const lines = CASES.flatMap(([, , ...expected]) => expected);
  expect(lines.length).toBeGreaterThanOrEqual(CASES.length);
  expect(lines.filter((line) => FOREIGN_WORDS.test(line))).toEqual([]);
});

it.each([
  (value: string) => `policies: {default: {mode: ${value}}}`,
  (value: string) => `policies: {default: {tokenHeader: ${value}=}}`,
  (value: string) => `policies: {default: {forwardToken: ${value}}}`,
  (value: string) => `policies: {default: {binding: ${value}}}`,
  (value: string) => `policies: {default: {mode:${value}}}`,
  (value: string) => `routes: [{policy: ${value}}]`,
  (value: string) => `routes: [{pathPrefix: ${value}, policy: default}]`,
  (value: string) => `defaultPolicy: ${value}`,
  (value: string) => `listen: {grpc: ${value}}`,
  (value: string) => `log: {level: ${value}}`,
  (value: string) => `workers: ${value}`,
  (value: string) => `decryptionKeys: [{id: ${value}, secretFile: secret}]`,
])('a secret or a URL with a password is never quoted, such as in case %#', async (config) => {
  for (const [value, part] of [
    [SECRET, SECRET.slice(0, 12)],
    ['"https://me:pass@a.com"', 'pass'],
  ] as const) {
    const lines = await errorsOf({ config: config(value) });
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.join('\n')).not.toContain(part);
  }
});
