/** Schema of the configuration file: the type, range, default and description of each field. */
import * as z from 'zod';
import { DENIED } from './denied.ts';
import { DECRYPTION_KEY, KEY } from './key-schema.ts';
import { LISTEN } from './listen.ts';
import { MESSAGE_SIGNING_KEY, REPLAY_STORE } from './message-signature-schema.ts';
import { POLICY, POLICY_NAME, ROUTE } from './policy-schema.ts';
import { ROLLOUT } from './rollout-schema.ts';

/** The policy of requests that no route matches, unless `defaultPolicy` names another. */
export const DEFAULT_POLICY = 'default';

const SECONDS_PER_DAY = 86_400;
const seconds = z.number().min(0).max(SECONDS_PER_DAY);
const count = z.int().min(1).max(0x7fff_ffff);

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

const LOG = z.strictObject({
  level: z
    .string()
    .transform(logLevel)
    .pipe(z.enum(LEVELS))
    .default('info')
    .meta({
      description:
        'Lowest level that is logged, in upper or lower case; `warning` is `warn`. Lines of checks are `info` (with `internal_error`: `error`), so a higher level hides them; `debug` adds the steps of every check.',
      anyOf: [
        { enum: [...LEVELS, 'warning'] },
        { pattern: `^(${[...LEVELS, 'warning'].map(inAnyCase).join('|')})$` },
      ],
    }),
  checks: z
    .enum(['none', 'failures', 'all'])
    .default('failures')
    .describe('Which checks are logged, one line each.'),
  format: z
    .enum(['auto', 'json', 'pretty'])
    .default('auto')
    .describe(
      '`json`; `pretty` for people: one line of text with the local time; or `auto`: pretty on a terminal, otherwise JSON. A change needs a restart.',
    ),
});

const TOKEN_CACHE = z.strictObject({
  maxEntries: z
    .int()
    .min(0)
    .max(10_000_000)
    .default(10_000)
    .describe('How many verified tokens are remembered; 0 for none.'),
});

const DRAIN = z.strictObject({
  delaySeconds: seconds
    .default(5)
    .describe('After SIGTERM: how long new checks are still accepted, while `/readyz` answers 503.'),
  timeoutSeconds: seconds
    .default(20)
    .describe('After that delay: how long checks in progress may take before the service exits.'),
});

const CONNECTION = z.strictObject({
  maxAgeSeconds: seconds
    .default(600)
    .describe(
      'Age at which a connection is closed by GOAWAY, so that load spreads over new instances; 0 for never. A change needs a restart.',
    ),
  maxConcurrentStreams: count
    .default(256)
    .describe('Calls at a time per connection. A change needs a restart.'),
});

const LIMITS = z.strictObject({
  messageBytes: z
    .int()
    .min(1024)
    .max(0x7fff_ffff)
    .default(262_144)
    .describe(
      'Size of the largest CheckRequest; keep it above Envoy’s limit on headers plus any body that is sent along. A change needs a restart.',
    ),
  grpcMetadataBytes: z
    .int()
    .min(1024)
    .max(65_536)
    .default(65_536)
    .describe(
      'Size of the largest headers of Envoy’s gRPC call, not of the client’s request. A change needs a restart.',
    ),
  connections: count
    .default(10_000)
    .describe(
      'Most connections per worker; one more closes the connection that has been idle longest. A change needs a restart.',
    ),
});

/** The whole file. References between fields, such as names of policies, are checked in parse.ts. */
export const FILE = z.strictObject({
  listen: LISTEN.prefault({}).describe('Addresses that the service listens on, and TLS.'),
  keys: z
    .array(KEY)
    .min(1, 'must name at least one key')
    .optional()
    .meta({
      description:
        'Keys that verify tokens, each from exactly one of `secretFile`, `jwksFile`, `jwksUrl` and `pemFile`. Required, unless the environment sets the secret.',
      examples: [[{ id: 'current', secretFile: '/run/secrets/approov/current' }]],
    }),
  decryptionKeys: z
    .array(DECRYPTION_KEY)
    .default([])
    .meta({
      description:
        'Keys that decrypt encrypted tokens (JWE), each from exactly one of `secretFile` and `privateKeyFile`.',
      examples: [[{ id: 'decryption', secretFile: '/run/secrets/approov/decryption' }]],
    }),
  messageSigningKeys: z
    .array(MESSAGE_SIGNING_KEY)
    .default([])
    .meta({
      description: 'Account keys that verify message signatures, by the `mskid` of the token.',
      examples: [[{ id: 'account', mskid: 'j3AWy6', secretFile: '/run/secrets/approov/account' }]],
    }),
  replayStore: REPLAY_STORE.optional().meta({
    description: 'The store in which all instances record signatures, for policies with `replay: shared`.',
    examples: [{ url: 'redis://redis:6379' }],
  }),
  defaultPolicy: z
    .string()
    .default(DEFAULT_POLICY)
    .describe('Name of the policy for requests that no route matches; make it the strictest.'),
  policies: z.record(POLICY_NAME, POLICY).meta({
    description:
      'Policies by name: how a request is checked, and what happens if it is not verified. A name has 1 to 32 of `a-z`, `0-9` and `-`. A missing policy `default` is added, with the default of every field.',
    examples: [{ default: { mode: 'observe' }, open: { mode: 'off' } }],
  }),
  routes: z
    .array(ROUTE)
    .default([])
    .meta({
      description: 'Chooses a policy by host, path and method. The first route that matches applies.',
      examples: [[{ host: 'api.example.com', pathPrefix: '/healthz', policy: 'open' }]],
    }),
  denied: DENIED.prefault({}).describe('The response that a denied request gets.'),
  log: LOG.prefault({}).describe('The log on stdout.'),
  tokenCache: TOKEN_CACHE.prefault({}).describe('Cache of verified tokens, per worker.'),
  drain: DRAIN.prefault({}).describe('How the service stops.'),
  connection: CONNECTION.prefault({}).describe('Connections from Envoy.'),
  limits: LIMITS.prefault({}).describe('Limits on what a client of the gRPC listener may use.'),
  workers: z
    .union([z.literal('auto'), z.int().min(1).max(1024)], 'must be a whole number from 1, or auto')
    .default(1)
    .describe('Processes that answer checks; `auto` for one per CPU. A change needs a restart.'),
  rollout: ROLLOUT.prefault({}).describe(
    'When the rollout page and `rollout` call a policy safe to enforce.',
  ),
});

/** Sections that may be empty; `*` stands for any name. */
export const OPTIONAL_SECTIONS = [
  ...Object.keys(FILE.shape),
  'listen.tls',
  'denied.headers',
  'policies.*.denied',
  'policies.*.denied.headers',
  'rollout.appVersion',
];

export type Settings = z.infer<typeof FILE>;

/** Ignores case, and accepts `warning`, which other programs use for `warn`. */
function logLevel(text: string): string {
  const level = text.toLowerCase();
  return level === 'warning' ? 'warn' : level;
}

/** A pattern, since JSON Schema has none that ignores case. */
function inAnyCase(word: string): string {
  return word.replaceAll(/./g, (letter) => `[${letter}${letter.toUpperCase()}]`);
}
