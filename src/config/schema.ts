/** Schema of the configuration file: the type, range and default of each field. */
import * as z from 'zod';
import { isPlainPath } from '../authz/path.ts';
import { FORWARDABLE_CLAIMS } from '../authz/policy.ts';
import { MODES, UNKNOWN } from '../authz/verdict.ts';
import { DENIED, POLICY_DENIED } from './denied.ts';
import { headerName } from './header-name.ts';
import { DECRYPTION_KEY, KEY } from './key-schema.ts';
import { LISTEN } from './listen.ts';
import { host, name, text } from './names.ts';

/** The policy of requests that no route matches, unless `defaultPolicy` names another. */
export const DEFAULT_POLICY = 'default';

const SECONDS_PER_DAY = 86_400;
const LITERAL = 'must not have *, { or }: it is compared literally';
/** Nothing expands globs and templates, so they would silently never match. */
const isLiteral = (value: string): boolean => /^[^*{}]*$/.test(value);
const literalOrList = z
  .union(
    [text.transform((value) => [value]), z.array(text).min(1)],
    unquoted('must be a text that is not empty, or a list of such'),
  )
  .refine((values) => values.every(isLiteral), LITERAL)
  .nullable()
  .default(null);
const seconds = z.number().min(0).max(SECONDS_PER_DAY);
const count = z.int().min(1).max(0x7fff_ffff);

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
    issuer: literalOrList,
    audience: z
      .union(
        [z.literal('host'), text.transform((value) => [value]), z.array(text).min(1)],
        unquoted('must be host, a text that is not empty, or a list of such'),
      )
      .refine((value) => value === 'host' || !value.includes('host'), {
        message:
          'must not list host, which is compared literally: for the request’s own host, write audience: host',
        abort: true,
      })
      .refine((value) => value === 'host' || value.every(isLiteral), LITERAL)
      .nullable()
      .default(null),
    clockToleranceSeconds: z.number().min(0).max(300).default(0),
    allowCorsPreflight: z.boolean().default(true),
    forwardToken: z.boolean().default(true),
    forwardClaims: z.array(z.enum(FORWARDABLE_CLAIMS)).default([]),
    denied: POLICY_DENIED.optional(),
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
    .regex(/^\//, { message: 'must begin with /', abort: true })
    .regex(/^[^?]*$/, { message: 'must not hold a query: it is compared without one', abort: true })
    .refine(isLiteral, {
      message: `${LITERAL}, and matches every path below it without them`,
      abort: true,
    })
    .regex(/^[\x21-\x7e]*$/, {
      message: 'would never match: write what is not ASCII, and blanks, percent-encoded as clients do',
      abort: true,
    })
    .refine(
      isPlainPath,
      'would never match: a path that upstreams may read in different ways is not compared with any prefix',
    )
    .optional(),
  methods: z
    .array(
      z
        .string()
        // Not a pattern: Helm's schema validator (RE2) has no lookahead.
        .refine((method) => !/^(any|all|\*)$/i.test(method), {
          error: 'is not a method: omit methods to match all',
          abort: true,
        })
        .regex(/^[A-Z][A-Z0-9_-]*$/, 'must be a method in upper case, as clients send it'),
    )
    .min(1)
    .optional(),
  policy: name,
});

const LOG = z.strictObject({
  level: z
    .string()
    .transform(logLevel)
    .pipe(z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']))
    .default('info'),
  checks: z.enum(['none', 'failures', 'all']).default('failures'),
  format: z.enum(['auto', 'json', 'pretty']).default('auto'),
});

const TOKEN_CACHE = z.strictObject({ maxEntries: z.int().min(0).max(10_000_000).default(10_000) });

const DRAIN = z.strictObject({ delaySeconds: seconds.default(5), timeoutSeconds: seconds.default(20) });

const CONNECTION = z.strictObject({
  maxAgeSeconds: seconds.default(600),
  maxConcurrentStreams: count.default(256),
});

const LIMITS = z.strictObject({
  messageBytes: z.int().min(1024).max(0x7fff_ffff).default(262_144),
  grpcMetadataBytes: z.int().min(1024).max(65_536).default(65_536),
  connections: count.default(10_000),
});

/** The whole file. References between fields, such as names of policies, are checked in parse.ts. */
export const FILE = z.strictObject({
  listen: LISTEN.prefault({}),
  keys: z.array(KEY).min(1, 'must name at least one key').optional(),
  decryptionKeys: z.array(DECRYPTION_KEY).default([]),
  defaultPolicy: z.string().default(DEFAULT_POLICY),
  policies: z.record(POLICY_NAME, POLICY),
  routes: z.array(ROUTE).default([]),
  denied: DENIED.prefault({}),
  log: LOG.prefault({}),
  tokenCache: TOKEN_CACHE.prefault({}),
  drain: DRAIN.prefault({}),
  connection: CONNECTION.prefault({}),
  limits: LIMITS.prefault({}),
  workers: z
    .union([z.literal('auto'), z.int().min(1).max(1024)], 'must be a whole number from 1, or auto')
    .default(1),
});

export type Settings = z.infer<typeof FILE>;
export type PolicySettings = z.infer<typeof POLICY>;

/** Ignores case, and accepts `warning`, which other programs use for `warn`. */
function logLevel(text: string): string {
  const level = text.toLowerCase();
  return level === 'warning' ? 'warn' : level;
}

/** Hints at quotes where YAML reads an unquoted text as a number. */
function unquoted(message: string) {
  const error = ({ input }: { readonly input?: unknown }): string =>
    [input].flat().some((value) => typeof value === 'number') ? `${message}: quote a number` : message;
  return { error };
}

function isUnique(values: readonly string[]): boolean {
  return new Set(values).size === values.length;
}
