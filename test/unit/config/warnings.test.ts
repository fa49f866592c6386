/** Tests which valid configurations are warned about. */
import { expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/parse.ts';
import { findWarnings } from '../../../src/config/warnings.ts';
import { SECRET } from '../../support/token.ts';

test.each([
  { byDefault: 'mode: off', route: 'mode: observe', isWarned: true },
  { byDefault: 'mode: observe', route: 'mode: limit', isWarned: true },
  { byDefault: 'mode: limit', route: 'mode: enforce', isWarned: true },
  { byDefault: 'mode: enforce', route: 'mode: limit', isWarned: false },
  { byDefault: 'mode: enforce', route: 'mode: enforce', isWarned: false },
  { byDefault: '', route: 'issuer: approov.io', isWarned: true },
  { byDefault: '', route: 'audience: host', isWarned: true },
  { byDefault: '', route: 'binding: {headers: [authorization]}', isWarned: true },
  {
    byDefault: 'binding: {headers: [authorization]}',
    route: 'binding: {headers: [authorization], when: required}',
    isWarned: true,
  },
  { byDefault: '', route: 'allowCorsPreflight: false', isWarned: true },
  { byDefault: '', route: 'messageSignature: {}', isWarned: true },
  { byDefault: 'messageSignature: {}', route: 'messageSignature: {install: required}', isWarned: true },
  { byDefault: 'messageSignature: {}', route: 'messageSignature: {replay: per-instance}', isWarned: true },
  { byDefault: 'messageSignature: {}', route: 'messageSignature: {contentDigest: off}', isWarned: false },
  { byDefault: 'messageSignature: {}', route: '', isWarned: false },
  { byDefault: 'issuer: approov.io', route: '', isWarned: false },
  { byDefault: '', route: 'mode: observe, issuer: approov.io', isWarned: false },
  { byDefault: '', route: 'mode: limit, issuer: approov.io', isWarned: true },
  { byDefault: 'enforcePercent: 10', route: '', isWarned: true },
  { byDefault: 'enforcePercent: 10', route: 'enforcePercent: 10.5', isWarned: true },
  { byDefault: 'enforcePercent: 10', route: 'enforcePercent: 10', isWarned: false },
  { byDefault: 'enforcePercent: 10', route: 'enforcePercent: 5, issuer: approov.io', isWarned: true },
  { byDefault: 'enforcePercent: 10', route: 'mode: limit', isWarned: true },
  { byDefault: 'enforcePercent: 10', route: 'mode: observe, issuer: approov.io', isWarned: false },
  { byDefault: 'mode: limit', route: 'enforcePercent: 1', isWarned: true },
  { byDefault: '', route: 'enforcePercent: 99', isWarned: false },
])(
  'a route with {$route} and a default policy with {$byDefault} warns: $isWarned',
  ({ byDefault, route, isWarned }) => {
    const { config, problems } = parseConfig(
      `policies: {default: {${byDefault}}, other: {${route}}}\nroutes: [{policy: default, pathPrefix: /a}, {policy: other}]`,
      { APPROOV_BASE64_SECRET: SECRET },
    );
    expect(problems).toEqual([]);
    expect(config && findWarnings(config).map(({ path }) => path)).toEqual(
      isWarned ? ['routes[1].policy'] : [],
    );
  },
);

function warningsOf(text: string): string[] {
  const { config, problems } = parseConfig(
    `policies: {default: {}, open: {mode: off}, watched: {mode: observe}}\n${text}`,
    { APPROOV_BASE64_SECRET: SECRET },
  );
  expect(problems).toEqual([]);
  return config === undefined ? [] : findWarnings(config).map(({ path, message }) => `${path}: ${message}`);
}

const OPEN = 'policy: open';
const STRICT = 'policy: default';
test.each(
  [
    { routes: [`{${OPEN}}`, `{pathPrefix: /admin, ${STRICT}}`], isCovered: true },
    { routes: [`{pathPrefix: /, ${OPEN}}`, `{pathPrefix: /admin, ${STRICT}}`], isCovered: true },
    { routes: [`{pathPrefix: /a, ${OPEN}}`, `{pathPrefix: /a/b, ${STRICT}}`], isCovered: true },
    { routes: [`{pathPrefix: /a, ${OPEN}}`, `{pathPrefix: /a/, ${STRICT}}`], isCovered: true },
    { routes: [`{pathPrefix: /a, ${OPEN}}`, `{pathPrefix: /ab, ${STRICT}}`], isCovered: false },
    { routes: [`{pathPrefix: /a/b, ${OPEN}}`, `{pathPrefix: /a, ${STRICT}}`], isCovered: false },
    { routes: [`{host: "*.b.com", ${OPEN}}`, `{host: a.b.com, ${STRICT}}`], isCovered: true },
    { routes: [`{host: "*.b.com", ${OPEN}}`, `{host: "*.a.b.com", ${STRICT}}`], isCovered: true },
    { routes: [`{host: "*.b.com", ${OPEN}}`, `{host: "*.b.com", ${STRICT}}`], isCovered: true },
    { routes: [`{host: "*.b.com", ${OPEN}}`, `{host: b.com, ${STRICT}}`], isCovered: false },
    { routes: [`{host: a.b.com, ${OPEN}}`, `{${STRICT}}`], isCovered: false },
    { routes: [`{host: A.b.com, ${OPEN}}`, `{host: "a.b.com.", ${STRICT}}`], isCovered: true },
    { routes: [`{methods: [GET], ${OPEN}}`, `{${STRICT}}`], isCovered: false },
    { routes: [`{methods: [GET], ${OPEN}}`, `{methods: [GET, POST], ${STRICT}}`], isCovered: false },
    { routes: [`{methods: [GET, POST], ${OPEN}}`, `{methods: [GET], ${STRICT}}`], isCovered: true },
    { routes: ['{policy: watched}', `{pathPrefix: /a, ${OPEN}}`], isCovered: false },
    { routes: [`{${STRICT}}`, `{${STRICT}}`], isCovered: false },
  ].map(({ routes, isCovered }) => [routes.join(', '), isCovered] as const),
)('of the routes %s the second is warned about: %s', (routes, isCovered) => {
  const message =
    'routes[1]: never matches, because routes[0] matches all of its requests first, and its policy open is weaker than default; put the more specific route first';
  expect(warningsOf(`routes: [${routes}]`)).toEqual(isCovered ? [message] : []);
});

test.each([
  ...[
    '/orders/:id',
    '/api/.+',
    '/api(/|$)',
    '/a/[id]',
    '/a/[0-9]+',
    '/(a|b)',
    '/api$',
    '/(.+)',
    '/(ab)+',
  ].map((path) => ({ path, isWarned: true })),
  ...['/v1/orders:batch', '/Orders(5)', '/$metadata', '/a+b', '/a.b', '/.well-known', '/a/:', '/a,b'].map(
    (path) => ({ path, isWarned: false }),
  ),
])('the pathPrefix $path is warned about: $isWarned', ({ path, isWarned }) => {
  const message =
    'routes[0].pathPrefix: looks like a template or a pattern: it is compared literally; give the part before it';
  expect(warningsOf(`routes: [{pathPrefix: "${path}", policy: open}]`)).toEqual(isWarned ? [message] : []);
});

test('a host with a port is warned about, in routes and keys', () => {
  const text =
    'keys: [{id: a, secretFile: /a, hosts: [b.com, "c.com:8443"]}]\nroutes: [{host: "b.com:443", policy: default}, {host: "[::1]:1", policy: default}, {host: "[::1]", policy: default}]';
  const { config } = parseConfig(text, {});
  expect(config && findWarnings(config).map(({ path }) => path)).toEqual([
    'routes[0].host',
    'routes[1].host',
    'keys[0].hosts[1]',
  ]);
});

test('a share of no device is warned about', () => {
  const { config } = parseConfig(
    'policies: {default: {enforcePercent: 0}, other: {enforcePercent: 0.01}, all: {enforcePercent: 100}}',
    { APPROOV_BASE64_SECRET: SECRET },
  );
  expect(config && findWarnings(config)).toEqual([
    {
      path: 'policies.default.enforcePercent',
      message: 'no device is enforced: write mode: observe, or a share above 0',
    },
  ]);
});

test.each(['off', 'observe', 'limit'])(
  'a share of devices is warned about in mode %s, and does not count',
  (mode) => {
    const { config } = parseConfig(`policies: {default: {mode: ${mode}, enforcePercent: 10}}`, {
      APPROOV_BASE64_SECRET: SECRET,
    });
    expect(config?.policyTable.defaultPolicy).toMatchObject({ mode, enforcePercent: undefined });
    expect(config && findWarnings(config)).toEqual([
      { path: 'policies.default.enforcePercent', message: `has no effect in mode ${mode}` },
    ]);
  },
);

test.each([
  ['policies: {default: {messageSignature: {}}}', []],
  [
    'messageSigningKeys: [{id: a, mskid: m, secretFile: /a}]',
    ['messageSigningKeys: are not used: no policy has messageSignature with account: when-mskid or required'],
  ],
  [
    'replayStore: {url: "redis://redis"}',
    ['replayStore: is not used: no policy has messageSignature with replay: shared'],
  ],
  ['replayStore: {url: "redis://redis"}\npolicies: {default: {messageSignature: {replay: shared}}}', []],
  ['policies: {default: {messageSignature: {requiredComponents: ["@method", "@path", approov-token]}}}', []],
  [
    'policies: {default: {messageSignature: {requiredComponents: [x-device]}}}',
    [
      'policies.default.messageSignature.requiredComponents: without the token (approov-token), the method (@method), the path (@target-uri), one signature may be accepted for different requests',
    ],
  ],
])('of message signatures, %j warns %j', (text, expected) => {
  const { config, problems } = parseConfig(text, { APPROOV_BASE64_SECRET: SECRET });
  expect(problems).toEqual([]);
  expect(config && findWarnings(config).map(({ path, message }) => `${path}: ${message}`)).toEqual(expected);
});
