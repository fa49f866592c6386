/** Tests that each invalid configuration is refused with the path and a message that helps to fix it. */
import { describe, expect, it } from 'vitest';
import { ALGORITHM_NAMES } from '../../../src/approov/algorithm.ts';
import { ConfigError } from '../../../src/config/config.ts';
import type { Env } from '../../../src/config/env.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { SECRET, SECRET_BYTES } from '../../support/token.ts';

const ENV: Env = { APPROOV_BASE64_SECRET: SECRET };

function problemsOf(text: string, env: Env = ENV): string[] {
  const { config, problems } = parseConfig(text, env);
  expect(config === undefined ? 'refused' : 'taken').toBe('refused');
  // The value at the start is tested in bad-input.test.ts.
  return problems.map(
    ({ path, message }) =>
      `${path}: ${message.replace(VALUE, '').replace(/^(unknown policy) "[^"]*"/, '$1')}`,
  );
}

const VALUE = /^(?:"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?) (?=must|would|is not a method)/;

const MODES = 'is not a mode (off, observe, limit, enforce)';
const SOCKET_MODE = 'must be a string of octal digits in quotes, such as "0660"';
const NAME = 'must be 1 to 32 of a-z, 0-9 and -';
const HEADER = 'must be a header name';
const HOST = 'must be a host such as api.example.com or *.example.com';
const STATUS = 'must be a status that Envoy knows: 400-417, 421-424, 426, 428, 429, 431 or 500-508';
const ONE_SOURCE = 'must have exactly one of secretFile, jwksFile, jwksUrl, pemFile';
const LONG = 'x'.repeat(33);
const HEX_SECRET = SECRET_BYTES.toString('hex');

describe('a field outside keys', () => {
  it.each([
    ['extra: 1', 'extra: unknown field'],
    ['"\\e[2Ja\\nb": 1', '\\u001b[2Ja\\u000ab: unknown field'],
    ['"\\x9b\\u2028\\u202e": 1', '\\u009b\\u2028\\u202e: unknown field'],
    ['"\\U000E0041": 1', '\\U000e0041: unknown field'],
    ['policies: {default: {mode: "\\x9b"}}', `policies.default.mode: "\\u009b" ${MODES}`],
    ['listen: {grcp: "a:1"}', 'listen.grcp: unknown field; did you mean grpc?'],
    [
      'listen: {grpc: 9001}',
      'listen.grpc: must be host:port, [v6]:port or unix:/path; for example 0.0.0.0:9001',
    ],
    ['listen: {grpc: "unix:authz.sock"}', 'listen.grpc: must be host:port, [v6]:port or unix:/path'],
    ['listen: {admin: "unix:/a.sock"}', 'listen.admin: must be host:port or [v6]:port'],
    ['listen: {unixSocketMode: 0660}', `listen.unixSocketMode: ${SOCKET_MODE}`],
    ['listen: {unixSocketMode: "0888"}', `listen.unixSocketMode: ${SOCKET_MODE}`],
    ['listen: {tls: {certFile: /c}}', 'listen.tls.keyFile: is required'],
    ['listen: []', 'listen: must be a mapping, not a list; for example listen: {grpc: "0.0.0.0:9001"}'],
    ['defaultPolicy: nope\npolicies: {open: {}}', 'defaultPolicy: unknown policy; known: open'],
    [
      'policies: {unknown: {}}',
      'policies.unknown: the name must not be unknown, which metrics call no policy at all',
    ],
    ['policies: {Strict: {}}', `policies.Strict: the name ${NAME}`],
    [`policies: {${LONG}: {}}`, `policies.${LONG}: the name ${NAME}`],
    ['policies: {default: 5}', 'policies.default: must be a mapping, not 5; for example {mode: observe}'],
    ['policies: {default: {modus: off}}', 'policies.default.modus: unknown field'],
    ['policies: {default: {mode: on}}', `policies.default.mode: "on" ${MODES}`],
    [
      'policies: {default: {mode: false}}',
      'policies.default.mode: false is not a mode; did you mean "off", which YAML 1.1 reads as false without quotes? (off, observe, limit, enforce)',
    ],
    [
      'policies: {default: {mode: observer}}',
      'policies.default.mode: "observer" is not a mode; did you mean "observe"? (off, observe, limit, enforce)',
    ],
    [
      'policies: {default: observe}',
      'policies.default: must be a mapping, not "observe"; for example {mode: observe}',
    ],
    [
      'routes: [/a]',
      'routes[0]: must be a mapping, not "/a"; for example - {pathPrefix: /healthz, policy: open}',
    ],
    ['policy: {default: {}}', 'policy: unknown field; did you mean policies?'],
    ['routes: [{policy: defualt}]', 'routes[0].policy: unknown policy; did you mean default? known: default'],
    ['policies: {default: {enforcePercent: 101}}', 'policies.default.enforcePercent: must be at most 100'],
    ['policies: {default: {enforcePercent: -1}}', 'policies.default.enforcePercent: must be at least 0'],
    [
      'policies: {default: {enforcePercent: 0.005}}',
      'policies.default.enforcePercent: must have at most two decimals',
    ],
    [
      'policies: {default: {enforcePercent: 10%}}',
      'policies.default.enforcePercent: must be a number, not "10%"',
    ],
    ['policies: {default: {tokenHeader: Approov Token}}', `policies.default.tokenHeader: ${HEADER}`],
    ['policies: {default: {tokenHeader: ":path"}}', `policies.default.tokenHeader: ${HEADER}`],
    ['policies: {default: {tokenHeader: ""}}', `policies.default.tokenHeader: ${HEADER}`],
    [
      'policies: {default: {tokenHeader: host}}',
      'policies.default.tokenHeader: must not be host: Envoy sends that apart from the headers',
    ],
    ...['x-approov-did', 'X-Approov-Did', 'x_approov-did', 'X_APPROOV_DID'].map((name) => [
      `policies: {default: {tokenHeader: ${name}}}`,
      'policies.default.tokenHeader: must not be a header that this service sets',
    ]),
    [
      'policies: {default: {tokenHeader: Host}}',
      'policies.default.tokenHeader: must not be host: Envoy sends that apart from the headers',
    ],
    // The Kelvin sign, whose lower case is an ASCII k.
    ['policies: {default: {tokenHeader: to\u212aen}}', `policies.default.tokenHeader: ${HEADER}`],
    ['policies: {default: {tokenPrefix: "é"}}', 'policies.default.tokenPrefix: must be ASCII'],
    [
      'policies: {default: {binding: authorization}}',
      'policies.default.binding: must be a mapping, not "authorization"; for example binding: {headers: [authorization]}',
    ],
    [
      'policies: {default: {binding: {}}}',
      'policies.default.binding.headers: is required; for example headers: [authorization]',
    ],
    [
      'policies: {default: {binding: {headers: []}}}',
      'policies.default.binding.headers: must have at least 1 item',
    ],
    ['policies: {default: {binding: {headers: [a b]}}}', `policies.default.binding.headers[0]: ${HEADER}`],
    [
      'policies: {default: {binding: {headers: [a, host]}}}',
      'policies.default.binding.headers[1]: must not be host: Envoy sends that apart from the headers',
    ],
    [
      'policies: {default: {binding: {headers: [x-approov-reason]}}}',
      'policies.default.binding.headers[0]: must not be a header that this service sets',
    ],
    [
      'policies: {default: {binding: {headers: [a, A]}}}',
      'policies.default.binding.headers: must not name a header twice',
    ],
    [
      'policies: {default: {binding: {headers: [a], when: always}}}',
      'policies.default.binding.when: "always" is not a value of when (if-present, required)',
    ],
    [
      'policies: {default: {binding: {headers: [a, Approov-Token]}}}',
      'policies.default.binding.headers: must not name the tokenHeader: no token can be bound to itself',
    ],
    [
      'policies: {default: {issuer: ""}}',
      'policies.default.issuer: must be a non-empty string, or a list of them',
    ],
    [
      'policies: {default: {issuer: 5}}',
      'policies.default.issuer: must be a non-empty string, or a list of them: quote a number',
    ],
    [
      'policies: {default: {audience: 5}}',
      'policies.default.audience: must be host, a non-empty string, or a list of them: quote a number',
    ],
    [
      'policies: {default: {clockToleranceSeconds: 301}}',
      'policies.default.clockToleranceSeconds: must be at most 300',
    ],
    [
      'policies: {default: {clockToleranceSeconds: -1}}',
      'policies.default.clockToleranceSeconds: must be at least 0',
    ],
    [
      'policies: {default: {allowCorsPreflight: yes}}',
      'policies.default.allowCorsPreflight: must be true or false, not "yes"',
    ],
    ['policies: {default: {forwardToken: 1}}', 'policies.default.forwardToken: must be true or false, not 1'],
    [
      'policies: {default: {forwardClaims: [pay]}}',
      'policies.default.forwardClaims[0]: "pay" is not a claim that can be forwarded (did, ip, arc, iss, aud, sub)',
    ],
    ['routes: [{}]', 'routes[0].policy: is required'],
    ['routes: [{policy: nope}]', 'routes[0].policy: unknown policy; known: default'],
    ['routes: [{policy: default, path: /a}]', 'routes[0].path: unknown field; did you mean pathPrefix?'],
    ['routes: [{policy: default, host: "a b"}]', `routes[0].host: ${HOST}`],
    ['routes: [{policy: default, host: "*"}]', `routes[0].host: ${HOST}`],
    ['routes: [{policy: default, host: "a.*.com"}]', `routes[0].host: ${HOST}`],
    ['routes: [{policy: default, host: ""}]', `routes[0].host: ${HOST}`],
    ...['[::::]', '[1.2.3.4]', 'a.com:999999', `${'a.'.repeat(130)}com`, '*.[::1]', 'a.com:'].map((host) => [
      `routes: [{policy: default, host: "${host}"}]`,
      `routes[0].host: ${HOST}`,
    ]),
    ...['ANY', 'ALL', 'any', '"*"'].map((method) => [
      `routes: [{policy: default, methods: [GET, ${method}]}]`,
      'routes[0].methods[1]: is not a method: omit methods to match all',
    ]),
    ...['"*"', '"*.example.com"', '"{host}"', '[api.example.com, "https://*/"]'].map((audience) => [
      `policies: {default: {audience: ${audience}}}`,
      'policies.default.audience: must not have *, { or }: it is compared literally',
    ]),
    ...['[host]', '[api.example.com, host]'].map((audience) => [
      `policies: {default: {audience: ${audience}}}`,
      'policies.default.audience: must not list host, which is compared literally: for the request’s own host, write audience: host',
    ]),
    ...[
      ['127.0.0.1:9001', '127.0.0.1:9001'],
      ['0.0.0.0:9001', '127.0.0.1:9001'],
      ['127.0.0.1:9001', '[::]:9001'],
    ].map(([grpc, admin]) => [
      `listen: {grpc: "${grpc}", admin: "${admin}"}`,
      `listen.admin: ${admin} overlaps listen.grpc (${grpc}); give each a port of its own`,
    ]),
    [
      'listen: {grpc: "0.0.0.0:9002"}',
      'listen.admin: 127.0.0.1:9002 overlaps listen.grpc (0.0.0.0:9002); give each a port of its own',
    ],
    ['routes: [{policy: default, pathPrefix: a}]', 'routes[0].pathPrefix: must begin with /'],
    ['routes: [{policy: default, pathPrefix: ""}]', 'routes[0].pathPrefix: must begin with /'],
    ...['/a/../b', '/a//b', '/a;b', '/%61', '/%zz', '/a|%c0%ae', `/${'a'.repeat(8192)}`].map((path) => [
      `routes: [{policy: default, pathPrefix: "${path}"}]`,
      'routes[0].pathPrefix: would never match: a path that upstreams may read in different ways is not compared with any prefix',
    ]),
    ...['/api/*', '/*', '/users/{id}', '/a}'].map((path) => [
      `routes: [{policy: default, pathPrefix: "${path}"}]`,
      'routes[0].pathPrefix: must not have *, { or }: it is compared literally, and matches every path below it without them',
    ]),
    ...['"*"', '"*.approov.io"', '"{tenant}.approov.io"', '[approov.io, "https://*/"]'].map((issuer) => [
      `policies: {default: {issuer: ${issuer}}}`,
      'policies.default.issuer: must not have *, { or }: it is compared literally',
    ]),
    [
      'routes: [{policy: default, pathPrefix: "/a?b"}]',
      'routes[0].pathPrefix: must not contain a query: it is compared without one',
    ],
    ...['/a b', '/é', '/a\\n'].map((path) => [
      `routes: [{policy: default, pathPrefix: "${path}"}]`,
      'routes[0].pathPrefix: would never match: write what is not ASCII, and blanks, percent-encoded as clients do',
    ]),
    [
      'routes: [{policy: default, methods: [get]}]',
      'routes[0].methods[0]: must be a method in upper case, as clients send it',
    ],
    ['routes: [{policy: default, methods: []}]', 'routes[0].methods: must have at least 1 item'],
    ['denied: {status: 200}', `denied.status: ${STATUS}`],
    ['denied: {status: 418}', `denied.status: ${STATUS}`],
    ['denied: {status: 509}', `denied.status: ${STATUS}`],
    ['denied: {body: {}}', 'denied.body: must be a string, not a mapping'],
    [
      'denied: {body: true}',
      'denied.body: must be a string, but without quotes YAML reads it as true or false: quote it',
    ],
    [
      'denied: {headers: {retry-after: 30}}',
      'denied.headers.retry-after: must be a string, but without quotes YAML reads it as a number: quote it',
    ],
    [
      'defaultPolicy: 1',
      'defaultPolicy: must be a string, but without quotes YAML reads it as a number: quote it',
    ],
    ['extra:', 'extra: unknown field'],
    ['routs:\n  # - {policy: default}', 'routs: unknown field; did you mean routes?'],
    ['policies: {default: {modus: }}', 'policies.default.modus: unknown field'],
    ['denied: {contentType: ""}', 'denied.contentType: must be a media type'],
    ['denied: {contentType: "a\\r\\nb"}', 'denied.contentType: must be a media type'],
    ['denied: {exposeReason: 1}', 'denied.exposeReason: must be true or false, not 1'],
    ['log: {checks: some}', 'log.checks: "some" is not a value of checks (none, failures, all)'],
    ['tokenCache: {maxEntries: -1}', 'tokenCache.maxEntries: must be at least 0'],
    ['drain: {delaySeconds: -1}', 'drain.delaySeconds: must be at least 0'],
    ['drain: {timeoutSeconds: 20s}', 'drain.timeoutSeconds: must be a number, not "20s"'],
    ['connection: {maxConcurrentStreams: 0}', 'connection.maxConcurrentStreams: must be at least 1'],
    ['limits: {messageBytes: 1}', 'limits.messageBytes: must be at least 1024'],
    ['limits: {connections: 0}', 'limits.connections: must be at least 1'],
    ['workers: many', 'workers: must be a whole number from 1, or auto'],
  ])('%s is refused', (text, expected) => {
    expect(problemsOf(text)).toEqual([expected]);
  });

  it('accepts exactly the denied statuses of Envoy’s API', () => {
    const accepted = Array.from({ length: 700 }, (_, status) => status).filter(
      (status) => parseConfig(`denied: {status: ${status}}`, ENV).config !== undefined,
    );
    const from = (first: number, last: number) =>
      Array.from({ length: last - first + 1 }, (_, index) => first + index);
    expect(accepted).toEqual([...from(400, 417), ...from(421, 424), 426, 428, 429, 431, ...from(500, 508)]);
  });
});

describe('a configuration file', () => {
  it('of 128 KiB is accepted, and one byte more is refused', () => {
    const text = `#${'x'.repeat(128 * 1024 - 1)}`;
    expect(parseConfig(text, ENV).problems).toEqual([]);
    expect(problemsOf(`${text}x`)).toEqual(['configuration file: is over 131072 bytes']);
    expect(problemsOf(text.replace('xx', 'é '))).toEqual(['configuration file: is over 131072 bytes']);
  });
});

describe('keys', () => {
  it.each([
    [
      'keys: 5',
      'keys: must be a list, not 5; for example keys: [{id: current, secretFile: /run/secrets/approov/current}]',
    ],
    [
      'keys: [{id: a, secretFile: /a, kid: 0001}]',
      'keys[0].kid: must be a string, but without quotes YAML reads it as a number: quote it',
    ],
    [
      'keys: [{id: 2026, secretFile: /a}]',
      'keys[0].id: must be a string, but without quotes YAML reads it as a number: quote it',
    ],
    [
      'keys: {}',
      'keys: must be a list, not a mapping; for example keys: [{id: current, secretFile: /run/secrets/approov/current}]',
    ],
    ['keys: []', 'keys: must name at least one key'],
    [
      'keys: [current]',
      'keys[0]: must be a mapping, not "current"; for example - {id: current, secretFile: /run/secrets/approov/current}',
    ],
    ['keys: [{secretFile: /a}]', 'keys[0].id: is required'],
    ['keys: [{id: a}]', `keys[0]: ${ONE_SOURCE}`],
    ['keys: [{id: a, secretFile: /a, pemFile: /b}]', `keys[0]: ${ONE_SOURCE}`],
    ['keys: [{id: a, jwksUrl: "http://a.test"}]', 'keys[0].jwksUrl: must be a URL with https'],
    ['keys: [{id: a, jwksUrl: "https://"}]', 'keys[0].jwksUrl: must be a URL with https'],
    ...['https://u@a.test', 'https://:p@a.test', 'https:\\\\u:p@a.test', 'https:u:p@a.test'].map((url) => [
      `keys: [{id: a, jwksUrl: "${url}"}]`,
      'keys[0].jwksUrl: must not contain a user name or password: it is shown',
    ]),
    ['keys: [{id: a, pemFile: /a}]', 'keys[0].algorithms: is required with a pemFile'],
    [
      'keys: [{id: a, pemFile: /a, algorithms: [HS256]}]',
      'keys[0].algorithms: HS256 does not go with a pemFile',
    ],
    [
      'keys: [{id: a, secretFile: /a, algorithms: [HS256, RS256]}]',
      'keys[0].algorithms: RS256 does not go with a secretFile',
    ],
    [
      'keys: [{id: a, jwksFile: /a, kid: k}]',
      'keys[0].kid: does not go with a JWK Set, whose keys declare their own',
    ],
    ['keys: [{id: a, secretFile: /a, hosts: []}]', 'keys[0].hosts: must have at least 1 item'],
    ['keys: [{id: a, secretFile: /a, hosts: ["a b"]}]', `keys[0].hosts[0]: ${HOST}`],
    ['keys: [{id: A, secretFile: /a}]', `keys[0].id: ${NAME}`],
    [`keys: [{id: ${LONG}, secretFile: /a}]`, `keys[0].id: ${NAME}`],
    ['keys: [{id: a, secretFile: ""}]', 'keys[0].secretFile: must not be empty'],
    ['keys: [{id: a, secretFile: /a, kid: ""}]', 'keys[0].kid: must not be empty'],
    [
      'keys: [{id: a, secretFile: /a, kid: 5}]',
      'keys[0].kid: must be a string, but without quotes YAML reads it as a number: quote it',
    ],
    ['keys: [{id: a, secretFile: /a, algorithms: []}]', 'keys[0].algorithms: must have at least 1 item'],
    [
      'keys: [{id: a, secretFile: /a, algorithms: [none]}]',
      `keys[0].algorithms[0]: "none" is not a signing algorithm (${[...ALGORITHM_NAMES, 'Ed25519'].join(', ')})`,
    ],
    ['keys: [{id: a, secretFile: /a, secret: x}]', 'keys[0].secret: unknown field; did you mean secretFile?'],
    ['keys: [{id: a, secretFile: /a}, {id: a, secretFile: /b}]', 'keys[1].id: is taken by keys[0]'],
  ])('%s is refused', (text, expected) => {
    expect(problemsOf(text, {})).toEqual([expected]);
  });

  it('and decryption keys must not share an id', () => {
    const text = 'keys: [{id: a, secretFile: /a}]\ndecryptionKeys: [{id: a, secretFile: /b}]';
    expect(problemsOf(text, {})).toEqual(['decryptionKeys[0].id: is taken by keys[0]']);
  });

  it.each(['APPROOV_BASE64_SECRET', 'APPROOV_BASE64_SECRET_FILE'])(
    'together with %s are refused',
    (variable) => {
      expect(problemsOf('keys: [{id: a, secretFile: /a}]', { [variable]: SECRET })).toEqual([
        `keys: set together with ${variable}: give one`,
      ]);
    },
  );
});

describe('keys at a URL', () => {
  const text = 'keys: [{id: a, jwksUrl: "https://a.test/"}]';

  it.each(['HTTPS_PROXY', 'https_proxy'])(
    '%s must be the URL of an HTTP proxy, and its value is not quoted',
    (variable) => {
      for (const url of ['socks5://user:planted@a.test', 'http://', 'http://a:planted'])
        expect(problemsOf(text, { [variable]: url })).toEqual([
          `${variable}: must be the URL of an HTTP proxy, such as http://proxy.example.com:3128`,
        ]);
    },
  );

  it('other keys must not have a caFile', () => {
    expect(problemsOf('keys: [{id: a, jwksFile: /a, caFile: /b}]', {})).toEqual([
      'keys[0].caFile: goes with a jwksUrl only',
    ]);
  });
});

describe('decryption keys', () => {
  it.each([
    [
      'decryptionKeys: {}',
      'decryptionKeys: must be a list, not a mapping; for example decryptionKeys: [{id: current, secretFile: /run/secrets/approov/decryption}]',
    ],
    ['decryptionKeys: [{id: a}]', 'decryptionKeys[0]: must have exactly one of secretFile, privateKeyFile'],
    [
      'decryptionKeys: [{id: a, secretFile: /a, privateKeyFile: /b}]',
      'decryptionKeys[0]: must have exactly one of secretFile, privateKeyFile',
    ],
    [
      'decryptionKeys: [{id: a, privateKeyFile: /a, nested: false}]',
      'decryptionKeys[0].nested: must be true with a privateKeyFile: anybody can encrypt to a public key',
    ],
    [
      'decryptionKeys: [{id: a, secretFile: /a, keyManagementAlgorithms: [A256KW, PBES2-HS256+A128KW, A128KW]}]',
      'decryptionKeys[0].keyManagementAlgorithms: A256KW takes a secret of 32 bytes and A128KW one of 16: give each a key of its own',
    ],
    [
      'decryptionKeys: [{id: a, secretFile: /a, keyManagementAlgorithms: [dir], contentEncryptionAlgorithms: [A256GCM, A256CBC-HS512]}]',
      'decryptionKeys[0].keyManagementAlgorithms: dir with A256GCM takes a secret of 32 bytes and dir with A256CBC-HS512 one of 64: give each a key of its own',
    ],
    [
      'decryptionKeys: [{id: a, secretFile: /a}, {id: a, secretFile: /b}]',
      'decryptionKeys[1].id: is taken by decryptionKeys[0]',
    ],
    [
      'decryptionKeys: [{id: env, secretFile: /a}]',
      'decryptionKeys[0].id: is taken by the key of the environment',
    ],
  ])('%s is refused', (text, expected) => {
    expect(problemsOf(text)).toEqual([expected]);
  });
});

const NO_ANCHOR =
  'not valid YAML: a string that begins with "*" needs quotes; without them, it refers to an anchor, and there is none of that name';
const EXPANSION =
  'not valid YAML: the aliases ("*") refer to themselves, or expand to too many values; write them out';
const MERGE = 'not valid YAML: a merge key ("<<") takes an alias of a mapping, such as "<<: *shared"';

describe('text that is not a valid YAML mapping', () => {
  it.each([
    {
      name: 'no YAML',
      text: 'a: b: c',
      expected: 'line 1, column 4: not valid YAML: a string with a colon and a space needs quotes',
    },
    {
      name: 'a field given twice',
      text: 'log: {}\nlog: {}',
      expected: 'line 2, column 1: not valid YAML: log is given twice, first in line 1; keep one',
    },
    {
      name: 'a name given twice, of which one looks like a number',
      text: 'policies: {1: {}, "1": {mode: off}}',
      expected: 'line 1, column 19: not valid YAML: 1 is given twice, first in line 1; keep one',
    },
    {
      name: 'a name that is a list',
      text: '[log]: {}',
      expected: 'line 1, column 1: not valid YAML: the name of a field must be a string',
    },
    {
      name: 'a tab where blanks belong',
      text: 'log:\n\tlevel: info',
      expected: 'line 2, column 1: not valid YAML: a tab is used for indentation; use spaces',
    },
    {
      name: 'brackets that are left open',
      text: 'listen: {tls: {certFile: [',
      expected: 'line 1, column 26: not valid YAML: "[" is not closed; add "]"',
    },
    {
      name: 'two documents',
      text: 'log: {}\n---\nlog: {}',
      expected: 'line 2, column 1: not valid YAML: a second document begins here; the file has one',
    },
    {
      name: 'an alias of nothing',
      text: 'log: *nothing',
      expected: `line 1, column 6: ${NO_ANCHOR}`,
    },
    {
      name: 'a list',
      text: '- log',
      expected:
        'line 1: must be a mapping of fields, not a list; for example policies: {default: {mode: observe}}',
    },
    {
      name: 'a word',
      text: 'log',
      expected:
        'line 1: must be a mapping of fields, not a single value; for example policies: {default: {mode: observe}}',
    },
  ])('is refused: $name', ({ text, expected }) => {
    expect(problemsOf(text)).toEqual([expected]);
  });

  it('does not exhaust memory with aliases of aliases', () => {
    const levels = 'bcdefghi'.split('').map((name, index) => {
      const before = 'abcdefgh'.charAt(index);
      return `${name}: &${name} [${`*${before},`.repeat(9)}]`;
    });
    const text = ['a: &a [1]', ...levels].join('\n');
    expect(problemsOf(text)).toEqual([`line 2, column 8: ${EXPANSION}`]);
  });
});

describe('a merge key', () => {
  it.each([
    ['log: {<<: 5}', `line 1, column 7: ${MERGE}`],
    ['log: {<<: *nothing}', `line 1, column 11: ${NO_ANCHOR}`],
    ['log: &log {<<: *log}', `line 1, column 16: ${EXPANSION}`],
  ])('is refused: %s', (text, expected) => {
    expect(problemsOf(text)).toEqual([expected]);
  });

  it('does not exhaust memory with merges of merges', () => {
    const levels = 'bcdefghi'.split('').map((name, index) => {
      const before = 'abcdefgh'.charAt(index);
      return `${name}: &${name} {<<: [${Array(9).fill(`*${before}`).join(', ')}]}`;
    });
    expect(problemsOf(['a: &a {x: 1}', ...levels].join('\n'))).toEqual([`line 2, column 13: ${EXPANSION}`]);
  });

  it('does not allow fields that would be unknown in its place', () => {
    expect(problemsOf('log: &log {level: info}\ndrain: {<<: *log}')).toEqual([
      'drain.level: unknown field; known: delaySeconds, timeoutSeconds',
    ]);
  });
});

describe('a value from the environment', () => {
  it.each([
    ['APPROOV_MODE', '"enforce"', 'is in quotes: remove them'],
    [
      'APPROOV_MODE',
      'enforce\r',
      'contains a carriage return, as a file with Windows line ends leaves it: remove it',
    ],
    ['APPROOV_BINDING_HEADER', "'authorization'", 'is in quotes: remove them'],
    ['APPROOV_GRPC_LISTEN', '"0.0.0.0:9001"', 'is in quotes: remove them'],
    [
      'APPROOV_ADMIN_LISTEN',
      '127.0.0.1:9002\r',
      'contains a carriage return, as a file with Windows line ends leaves it: remove it',
    ],
    ['LOG_LEVEL', "'info'", 'is in quotes: remove them'],
    [
      'LOG_LEVEL',
      '"info"\r',
      'is in quotes: remove them; contains a carriage return, as a file with Windows line ends leaves it: remove it',
    ],
  ])('with syntax of an env file left in it is reported once: %s=%j', (variable, value, expected) => {
    expect(problemsOf('', { ...ENV, [variable]: value })).toEqual([`${variable}: ${expected}`]);
  });

  it('that names the secret’s file is reported alone, without other advice', () => {
    expect(problemsOf('', { APPROOV_BASE64_SECRET_FILE: '"/run/secret"' })).toEqual([
      'APPROOV_BASE64_SECRET_FILE: is in quotes: remove them',
    ]);
  });

  it('that is the secret may end with a carriage return, but must not be quoted', () => {
    expect(parseConfig('', { APPROOV_BASE64_SECRET: `${SECRET}\r\n` }).problems).toEqual([]);
    expect(problemsOf('', { APPROOV_BASE64_SECRET: `"${SECRET}"` })).toEqual([
      'APPROOV_BASE64_SECRET: the secret (90 characters) is neither base64 nor base64url; it is in quotes: remove them',
    ]);
  });
});

describe('a misspelt variable', () => {
  it.each([
    ['APPROOV_MOD', 'APPROOV_MODE'],
    ['APPROOV_MOED', 'APPROOV_MODE'],
    ['APROOV_MODE', 'APPROOV_MODE'],
    ['approov_mode', 'APPROOV_MODE'],
    ['APPROOV_CONFIGS', 'APPROOV_CONFIG'],
    ['APPROOV_BASE64_SECRT', 'APPROOV_BASE64_SECRET'],
    ['APPROOV_BASE_64_SECRETS', 'APPROOV_BASE64_SECRET'],
    ['APPROOV_BASE64_SECRET_FLIE', 'APPROOV_BASE64_SECRET_FILE'],
    ['APPROOV_GPRC_LISTN', 'APPROOV_GRPC_LISTEN'],
    ['APPROOV_ADMIN_LISTENER', 'APPROOV_ADMIN_LISTEN'],
    ['APPROOV_BINDING_HEADERS', 'APPROOV_BINDING_HEADER'],
  ])('is refused, and its value is not quoted: %s', (variable, meant) => {
    expect(problemsOf('', { ...ENV, [variable]: 'planted' })).toEqual([
      `${variable}: unknown variable; did you mean ${meant}?`,
    ]);
  });

  it.each(['a: b: c', 'other: 1'])('is reported together with what is wrong with the file: %s', (text) => {
    expect(problemsOf(text, { ...ENV, APPROOV_MOD: 'off' })).toHaveLength(2);
  });

  it.each([
    'APPROOV_ROLE',
    'APPROOV_MODE_PORT',
    'APPROOV_CONFIG_PORT_9001_TCP',
    'APPROOV_MODE_SERVICE_HOST',
    'APPROOV_EXT_AUTHZ_SERVICE_HOST',
    'APPROOV_EXT_AUTHZ_PORT_9001_TCP_ADDR',
    'APPROOV_MODAL_X',
    'APPROOV_MANAGEMENT_TOKEN',
    'APPROOV_NODES',
    'LOG_LEVELS',
    'MODE',
  ])('is distinguished from a variable of another program: %s', (variable) => {
    expect(parseConfig('', { ...ENV, [variable]: 'x' }).problems).toEqual([]);
  });

  it('is ignored if it is empty, as any variable', () => {
    expect(parseConfig('', { ...ENV, APPROOV_MOD: '' }).problems).toEqual([]);
  });
});

describe('a reference to a policy', () => {
  it('must name an existing policy, even if a variable sets a field of it', () => {
    expect(
      problemsOf('defaultPolicy: strcit\npolicies: {strict: {}}', { ...ENV, APPROOV_MODE: 'observe' }),
    ).toEqual(['defaultPolicy: unknown policy; did you mean strict? known: strict']);
  });

  it.each(['__proto__', 'constructor'])('does not resolve %s, which every JavaScript object has', (name) => {
    expect(problemsOf(`defaultPolicy: ${name}\npolicies: {open: {}}`)).toEqual([
      'defaultPolicy: unknown policy; known: open',
    ]);
  });

  it('that is not a string is refused, and never silently ignored', () => {
    expect(problemsOf('policies: {default: {}, __proto__: {}}')).toEqual(['__proto__: unknown field']);
  });
});

describe('problems', () => {
  const MANY = `
listen: {grpc: nowhere}
keys: [{id: A, secretFile: /a}, {id: b}]
policies: {default: {mode: on, extra: 1}}
routes: [{policy: nope, host: "a b"}]
denied: {status: 200}
log: {level: loud}
`;
  const EXPECTED = [
    'denied.status',
    'keys[0].id',
    'keys[1]',
    'listen.grpc',
    'log.level',
    'policies.default.extra',
    'policies.default.mode',
    'routes[0].host',
    'routes[0].policy',
  ];

  it('are reported all at once', () => {
    const paths = parseConfig(MANY, {}).problems.map(({ path }) => path);
    expect(paths.sort()).toEqual(EXPECTED);
  });

  it('of file and environment are reported together', () => {
    const paths = parseConfig(MANY, { APPROOV_BASE64_SECRET: 'short' }).problems.map(({ path }) => path);
    expect(paths.sort()).toEqual([
      'APPROOV_BASE64_SECRET',
      ...EXPECTED.slice(0, 1),
      'keys',
      ...EXPECTED.slice(1),
    ]);
  });

  it('of both secret variables and keys in the file are reported together', () => {
    const env = { ...ENV, APPROOV_BASE64_SECRET_FILE: '/s' };
    expect(
      problemsOf('keys: [{id: a, secretFile: /a}]', env).map((problem) => problem.split(':')[0]),
    ).toEqual(['APPROOV_BASE64_SECRET', 'keys']);
  });

  it('are one line each in the message of ConfigError', () => {
    const { problems } = parseConfig(MANY, {});
    const lines = new ConfigError(problems).message.split('\n');
    expect(lines).toEqual(problems.map(({ path, message }) => `${path}: ${message}`));
  });

  it('do not hide the keys whose description is valid, so that their files are checked too', () => {
    const { references } = parseConfig(
      'keys: [{id: A, secretFile: /a}, {id: b, secretFile: /b}]\nextra: 1',
      {},
    );
    expect(references.keys).toMatchObject([
      { id: 'b', location: { file: '/b' }, path: 'keys[1].secretFile' },
    ]);
  });

  it.each([
    { name: 'in the variable, broken', text: '', env: { APPROOV_BASE64_SECRET: `${SECRET} note` } },
    { name: 'where a mode belongs', text: '', env: { ...ENV, APPROOV_MODE: SECRET } },
    { name: 'where an address belongs', text: '', env: { ...ENV, APPROOV_GRPC_LISTEN: SECRET } },
    { name: 'in the file', text: `keys: [{id: a, secret: "${SECRET}"}]`, env: {} },
    { name: 'where an id belongs', text: `keys: [{id: "${SECRET}", secretFile: /a}]`, env: {} },
    { name: 'on a line that is not YAML', text: `secret: ${SECRET}: x`, env: ENV },
    { name: 'twice', text: `log: ${SECRET}\nlog: ${SECRET}`, env: ENV },
    { name: 'as the whole file', text: SECRET, env: {} },
    { name: 'the name of a field', text: `"${SECRET}": /a`, env: ENV },
    { name: 'the name of a field without a value', text: `? ${SECRET}`, env: ENV },
    { name: 'the name of a key’s field', text: `keys: [{id: a, "${SECRET}": /a}]`, env: {} },
    {
      name: 'the name of a policy',
      text: `policies: {"${SECRET}": {mode: on}}\nroutes: [{policy: b}]`,
      env: ENV,
    },
    { name: 'the name of a header', text: `denied: {headers: {"${SECRET}": ""}}`, env: ENV },
    { name: 'in hex, the name of a field', text: `"${HEX_SECRET}": /a`, env: ENV },
    { name: 'too short, the name of a field', text: `"${SECRET.slice(0, 32)}": /a`, env: ENV },
    { name: 'where a list belongs', text: `routes: ${SECRET}`, env: ENV },
    { name: 'where a choice belongs', text: `log: {checks: ${SECRET}}`, env: ENV },
    { name: 'short, where a mapping belongs', text: `policies: ${SECRET.slice(0, 32)}`, env: ENV },
  ])('never contain a secret that is $name', ({ text, env }) => {
    const messages = problemsOf(text, env).join('\n');
    expect(messages).not.toBe('');
    for (const secret of [SECRET, HEX_SECRET]) {
      for (let at = 0; at + 8 <= secret.length; at += 4)
        expect(messages).not.toContain(secret.slice(at, at + 8));
    }
  });
});
