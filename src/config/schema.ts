/** Owns the shape of the configuration file: each field with its type, range and default. */
import * as z from 'zod';
import { ALGORITHM_NAMES, algorithmRow } from '../approov/algorithm.ts';
import { DECRYPTION_ALGORITHMS, ENCRYPTIONS } from '../approov/encrypted-token.ts';
import { FORWARDABLE_CLAIMS, isOddPath } from '../authz/policy.ts';
import { RESULT_HEADERS } from '../authz/result-header.ts';
import { MODES, UNKNOWN } from '../authz/verdict.ts';
import { filePath, LISTEN } from './listen.ts';

/** The policy that judges what no route matches, unless `defaultPolicy` names another. */
export const DEFAULT_POLICY = 'default';

const SECONDS_PER_DAY = 86_400;
/** The HTTP status codes from 400 that Envoy's API knows (envoy.type.v3.StatusCode) and that refuse a request. */
const DENIED_STATUSES = new Set([
  ...range(400, 417),
  ...range(421, 424),
  426,
  428,
  429,
  431,
  ...range(500, 508),
]);

const name = z.string().regex(/^[a-z0-9-]{1,32}$/, 'must be 1 to 32 of a-z, 0-9 and -');
const text = z.string().min(1, 'must not be empty');
const textOrList = z
  .union(
    [text.transform((value) => [value]), z.array(text).min(1)],
    'must be a text that is not empty, or a list of such',
  )
  .nullable()
  .default(null);
const seconds = z.number().min(0).max(SECONDS_PER_DAY);
const count = z.int().min(1).max(0x7fff_ffff);

/** RFC 9110 §5.1, lower case as on HTTP/2. */
const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9a-z-]+$/, 'must be a header name in lower case')
  .refine((value) => value !== 'host', 'must not be host: Envoy sends that apart from the headers')
  .refine((value) => !RESULT_HEADERS.includes(value), 'must not be a header that this service sets');

/** A host as in a route: exact, or `*.` and a suffix. */
const host = z
  .string()
  .regex(/^(\*\.)?([A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+\.?(:\d+)?$|^\[[0-9A-Fa-f:.]+\](:\d+)?$/, {
    message: 'must be a host such as api.example.com or *.example.com',
  });

/** The fields of which a key has exactly one. */
export const KEY_SOURCES = ['secretFile', 'jwksFile', 'jwksUrl', 'pemFile'] as const;

export const KEY = z
  .strictObject({
    id: name,
    secretFile: filePath.optional(),
    jwksFile: filePath.optional(),
    jwksUrl: z
      .url({ protocol: /^https$/, error: 'must be a URL with https', abort: true })
      .refine((url) => !hasCredentials(url), 'must not hold a user name or password: it is shown')
      .optional(),
    pemFile: filePath.optional(),
    kid: text.optional(),
    algorithms: z.array(z.enum(ALGORITHM_NAMES)).min(1).optional(),
    hosts: z.array(host).min(1).optional(),
  })
  .superRefine((key, context) => {
    const given = KEY_SOURCES.filter((field) => key[field] !== undefined);
    if (given.length !== 1) {
      context.addIssue({ code: 'custom', message: `must have exactly one of ${KEY_SOURCES.join(', ')}` });
      return;
    }
    const [source] = given;
    const isSecret = source === 'secretFile';
    const unfit = key.algorithms?.find((name) => (algorithmRow(name).family === 'secret') !== isSecret);
    if (unfit !== undefined) {
      const message = `${unfit} does not go with a ${source}`;
      context.addIssue({ code: 'custom', path: ['algorithms'], message });
    }
    if (source === 'pemFile' && key.algorithms === undefined) {
      context.addIssue({ code: 'custom', path: ['algorithms'], message: 'is required with a pemFile' });
    }
    if ((source === 'jwksFile' || source === 'jwksUrl') && key.kid !== undefined) {
      const message = 'does not go with a JWK Set, whose keys declare their own';
      context.addIssue({ code: 'custom', path: ['kid'], message });
    }
  });

export const DECRYPTION_KEY = z
  .strictObject({
    id: name,
    secretFile: filePath.optional(),
    privateKeyFile: filePath.optional(),
    algorithms: z.array(z.enum(DECRYPTION_ALGORITHMS)).min(1).optional(),
    encryptions: z
      .array(z.enum(ENCRYPTIONS))
      .min(1)
      .default([...ENCRYPTIONS]),
    nested: z.boolean().default(true),
  })
  .superRefine((key, context) => {
    if ((key.secretFile === undefined) === (key.privateKeyFile === undefined)) {
      context.addIssue({ code: 'custom', message: 'must have exactly one of secretFile, privateKeyFile' });
    }
    if (!key.nested && key.privateKeyFile !== undefined) {
      const message = 'must be true with a privateKeyFile: anybody can encrypt to a public key';
      context.addIssue({ code: 'custom', path: ['nested'], message });
    }
  });

const POLICY = z
  .strictObject({
    mode: z.enum(MODES).default('enforce'),
    tokenHeader: headerName.default('approov-token'),
    tokenPrefix: z
      .string()
      .regex(/^[\x20-\x7e]*$/, 'must be ASCII')
      .default(''),
    binding: z
      .strictObject({
        headers: z.array(headerName).min(1).refine(isUnique, 'must not name a header twice'),
        when: z.enum(['if-present', 'required']).default('if-present'),
      })
      .nullable()
      .default(null),
    issuer: textOrList,
    audience: z
      .union(
        [z.literal('host'), text.transform((value) => [value]), z.array(text).min(1)],
        'must be host, a text that is not empty, or a list of such',
      )
      .nullable()
      .default(null),
    clockToleranceSeconds: z.number().min(0).max(300).default(0),
    allowCorsPreflight: z.boolean().default(true),
    forwardToken: z.boolean().default(true),
    forwardClaims: z.array(z.enum(FORWARDABLE_CLAIMS)).default([]),
  })
  .refine(({ tokenHeader, binding }) => !binding?.headers.includes(tokenHeader), {
    path: ['binding', 'headers'],
    error: 'must not name the tokenHeader: no token can be bound to itself',
  });

const POLICY_NAME = name.refine(
  (value) => value !== UNKNOWN,
  'must not be unknown, which metrics call no policy at all',
);

const ROUTE = z.strictObject({
  host: host.optional(),
  pathPrefix: z
    .string()
    .regex(/^\//, 'must begin with /')
    .regex(/^[^?]*$/, 'must not hold a query: it is compared without one')
    .regex(
      /^[\x21-\x7e]*$/,
      'would never match: write what is no ASCII, and blanks, percent-encoded as clients do',
    )
    .refine((path) => !isOddPath(path), 'would never match: prefixes are not compared with a path like this')
    .optional(),
  methods: z
    .array(z.string().regex(/^[A-Z][A-Z0-9_-]*$/, 'must be a method in upper case, as clients send it'))
    .min(1)
    .optional(),
  policy: name,
});

const DENIED = z.strictObject({
  status: z
    .int()
    .refine(
      (status) => DENIED_STATUSES.has(status),
      'must be a status that Envoy knows: 400-417, 421-424, 426, 428, 429, 431 or 500-508',
    )
    .default(401),
  body: z.string().default('{}'),
  contentType: z
    .string()
    .regex(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/, 'must be a media type')
    .default('application/json'),
  exposeReason: z.boolean().default(false),
});

const LOG = z.strictObject({
  level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  checks: z.enum(['none', 'failures', 'all']).default('failures'),
});

const VERDICT_CACHE = z.strictObject({ maxEntries: z.int().min(0).max(10_000_000).default(10_000) });

const DRAIN = z.strictObject({ delaySeconds: seconds.default(5), timeoutSeconds: seconds.default(20) });

const CONNECTION = z.strictObject({
  maxAgeSeconds: seconds.default(600),
  maxConcurrentStreams: count.default(256),
});

const LIMITS = z.strictObject({
  messageBytes: z.int().min(1024).max(0x7fff_ffff).default(262_144),
  headerBytes: z.int().min(1024).max(65_536).default(65_536),
  connections: count.default(10_000),
});

/** The whole file. What one field says of another (names that must exist) is checked apart from it. */
export const FILE = z.strictObject({
  listen: LISTEN.prefault({}),
  keys: z.array(KEY).min(1, 'must name at least one key').optional(),
  decryptionKeys: z.array(DECRYPTION_KEY).default([]),
  defaultPolicy: z.string().default(DEFAULT_POLICY),
  policies: z.record(POLICY_NAME, POLICY),
  routes: z.array(ROUTE).default([]),
  denied: DENIED.prefault({}),
  log: LOG.prefault({}),
  verdictCache: VERDICT_CACHE.prefault({}),
  drain: DRAIN.prefault({}),
  connection: CONNECTION.prefault({}),
  limits: LIMITS.prefault({}),
  workers: z
    .union([z.literal('auto'), z.int().min(1).max(1024)], 'must be a whole number from 1, or auto')
    .default(1),
});

export type Settings = z.infer<typeof FILE>;
export type KeySettings = z.infer<typeof KEY>;
export type DecryptionKeySettings = z.infer<typeof DECRYPTION_KEY>;
export type PolicySettings = z.infer<typeof POLICY>;

function hasCredentials(url: string): boolean {
  const { username, password } = new URL(url);
  return username !== '' || password !== '';
}

function isUnique(values: readonly string[]): boolean {
  return new Set(values).size === values.length;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
