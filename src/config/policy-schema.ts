/** Schema of `policies` and `routes` in the configuration file. */
import * as z from 'zod';
import { isPlainPath } from '../authz/path.ts';
import { FORWARDABLE_CLAIMS } from '../authz/policy.ts';
import { MODES, UNKNOWN } from '../authz/verdict.ts';
import { POLICY_DENIED } from './denied.ts';
import { headerName } from './header-name.ts';
import { isUnique } from './lists.ts';
import { MESSAGE_SIGNATURE } from './message-signature-schema.ts';
import { host, name, text } from './names.ts';

const LITERAL = 'must not have *, { or }: it is compared literally';
/** Nothing expands globs and templates, so they would silently never match. */
const LITERAL_TEXT = /^[^*{}]*$/;
const isLiteral = (value: string): boolean => LITERAL_TEXT.test(value);
/** For editors: the check itself is on the union, which has the better message. */
const literal = text.meta({ pattern: LITERAL_TEXT.source });
const literalOrList = z
  .union(
    [literal.transform((value) => [value]), z.array(literal).min(1)],
    unquoted('must be a non-empty string, or a list of them'),
  )
  .refine((values) => values.every(isLiteral), LITERAL)
  .nullable()
  .default(null);

export const POLICY = z
  .strictObject({
    mode: z
      .enum(MODES)
      .default('enforce')
      .describe(
        'What happens to a request without a valid token: `enforce` denies it, `limit` allows it and marks it for rate limiting, `observe` allows it and counts it. `off` checks nothing.',
      ),
    enforcePercent: z
      .number()
      .min(0)
      .max(100)
      .refine((percent) => Math.round(percent * 100) / 100 === percent, 'must have at most two decimals')
      .optional()
      .meta({
        description:
          'Under `enforce`: percentage of devices to enforce; the others are observed. Raising it only adds devices. Omitted: all. No effect in other modes.',
        examples: [10],
      }),
    tokenHeader: headerName.default('approov-token').describe('Request header with the token, in any case.'),
    tokenPrefix: z
      .string()
      .regex(/^[\x20-\x7e]*$/, 'must be ASCII')
      .default('')
      .meta({
        description: 'Removed from the start of the header value if it is there, ignoring case.',
        examples: ['Bearer '],
      }),
    binding: z
      .strictObject({
        headers: z
          .array(headerName)
          .min(1)
          .refine(isUnique, 'must not name a header twice')
          .meta({
            description: 'Request headers that a token is bound to, in the order that Approov hashes them.',
            examples: [['authorization']],
          }),
        when: z
          .enum(['if-present', 'required'])
          .default('if-present')
          .describe('Whether a token without a binding is accepted (`if-present`) or not (`required`).'),
      })
      .nullable()
      .default(null)
      .meta({
        description: 'Accepts a bound token only together with the headers that it is bound to.',
        examples: [{ headers: ['authorization'], when: 'if-present' }],
      }),
    issuer: literalOrList.meta({
      description: 'Accepted issuers: the token’s `iss` must equal one of them.',
      examples: ['https://issuer.example.com', ['issuer-a', 'issuer-b']],
    }),
    audience: z
      .union(
        [z.literal('host'), literal.transform((value) => [value]), z.array(literal).min(1)],
        unquoted('must be host, a non-empty string, or a list of them'),
      )
      .refine((value) => value === 'host' || !value.includes('host'), {
        message:
          'must not list host, which is compared literally: for the request’s own host, write audience: host',
        abort: true,
      })
      .refine((value) => value === 'host' || value.every(isLiteral), LITERAL)
      .nullable()
      .default(null)
      .meta({
        description:
          'Accepted audiences: the token’s `aud` must contain one of them; or `host`, not in a list, for the request’s own host.',
        examples: ['host', ['api.example.com']],
      }),
    clockToleranceSeconds: z
      .number()
      .min(0)
      .max(300)
      .default(0)
      .describe('How far the clocks of Approov and the service may differ when `exp` and `nbf` are checked.'),
    allowCorsPreflight: z
      .boolean()
      .default(true)
      .describe('Whether CORS preflights, which carry no token, are allowed without a check.'),
    forwardToken: z
      .boolean()
      .default(true)
      .describe(
        'Whether the upstream receives the token. With `false`, it is removed from allowed requests.',
      ),
    forwardClaims: z
      .array(z.enum(FORWARDABLE_CLAIMS))
      .default([])
      .meta({
        description: 'Claims of a verified token that are sent upstream, as `x-approov-<claim>`.',
        examples: [['did']],
      }),
    messageSignature: MESSAGE_SIGNATURE.nullable()
      .default(null)
      .meta({
        description:
          'Requires a valid message signature (RFC 9421), so a stolen token alone is not enough. `null`: signatures are not checked.',
        examples: [{ install: 'when-ipk', account: 'when-mskid' }],
      }),
    denied: POLICY_DENIED.optional().describe(
      'The denied response of this policy; each field replaces that of the top-level `denied`.',
    ),
  })
  .refine(({ tokenHeader, binding }) => !binding?.headers.includes(tokenHeader), {
    path: ['binding', 'headers'],
    error: 'must not name the tokenHeader: no token can be bound to itself',
  });

export const POLICY_NAME = name
  .refine((value) => value !== UNKNOWN, 'must not be unknown, which metrics call no policy at all')
  .meta({ not: { const: UNKNOWN } });

export const ROUTE = z.strictObject({
  host: host.optional().meta({
    description:
      'Host of the request, exact or `*.example.com` for any depth below; case and port are ignored. Omitted: any.',
    examples: ['api.example.com', '*.example.com'],
  }),
  pathPrefix: z
    .string()
    .regex(/^\//, { message: 'must begin with /', abort: true })
    .regex(/^[^?]*$/, { message: 'must not contain a query: it is compared without one', abort: true })
    .regex(LITERAL_TEXT, {
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
    .optional()
    .meta({
      description:
        'Start of the path, in whole segments and literal: `/a` matches `/a` and `/a/b`, not `/ab`. Omitted: any.',
      examples: ['/healthz', '/v1/orders'],
    }),
  methods: z
    .array(
      z
        .string()
        // Not a pattern: Helm's schema validator (RE2) has no lookahead.
        .refine((method) => !/^(any|all|\*)$/i.test(method), {
          error: 'is not a method: omit methods to match all',
          abort: true,
        })
        .regex(/^[A-Z][A-Z0-9_-]*$/, 'must be a method in upper case, as clients send it')
        .meta({ not: { enum: ['ANY', 'ALL'] } }),
    )
    .min(1)
    .optional()
    .meta({ description: 'HTTP methods in upper case. Omitted: all.', examples: [['GET', 'POST']] }),
  policy: name.describe('Name of the policy for matching requests, one of `policies`.'),
});

export type PolicySettings = z.infer<typeof POLICY>;

/** Hints at quotes where YAML reads an unquoted string as a number. */
function unquoted(message: string) {
  const error = ({ input }: { readonly input?: unknown }): string =>
    [input].flat().some((value) => typeof value === 'number') ? `${message}: quote a number` : message;
  return { error };
}
