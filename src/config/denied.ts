/** Schema of the denied response: the top-level `denied`, and the fields that a policy overrides. */
import * as z from 'zod';
import { isResultHeader } from '../authz/result-header.ts';
import { TOKEN } from './header-name.ts';

/** The HTTP error statuses of Envoy's API (envoy.type.v3.StatusCode). */
const DENIED_STATUSES = new Set([
  ...range(400, 417),
  ...range(421, 424),
  426,
  428,
  429,
  431,
  ...range(500, 508),
]);

/** Headers that this service or Envoy sets in every denied response. */
const RESERVED_HEADERS = new Set(['cache-control', 'content-length', 'content-type', 'www-authenticate']);
/** They describe one connection (RFC 9110 §7.6.1), which is Envoy's; HTTP/2 forbids them (RFC 9113 §8.2.2). */
const HOP_BY_HOP_HEADERS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** RFC 9110 §5.5 without obs-text, which clients decode differently. */
const headerValue = z
  .string()
  .regex(
    /^[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?$/,
    'must be ASCII without control characters, and not empty',
  );

const headers = z
  .record(z.string(), headerValue)
  .superRefine((given, context) => {
    const seen = new Set<string>();
    for (const name of Object.keys(given)) {
      const message = headerProblem(name.toLowerCase(), seen);
      if (message !== undefined) context.addIssue({ code: 'custom', path: [name], message });
      seen.add(name.toLowerCase());
    }
  })
  .transform((given) =>
    Object.fromEntries(Object.entries(given).map(([name, value]) => [name.toLowerCase(), value])),
  );

function headerProblem(name: string, seen: ReadonlySet<string>): string | undefined {
  if (!TOKEN.test(name)) return 'the name must be a header name';
  if (isResultHeader(name))
    return 'must not be a header that this service sets; for the reason there is exposeReason';
  if (name === 'content-type') return 'must not be set here; use contentType';
  if (RESERVED_HEADERS.has(name)) return 'must not be set: it is set in every denied response';
  if (HOP_BY_HOP_HEADERS.has(name)) return 'must not be set: hop-by-hop headers belong to Envoy';
  return seen.has(name) ? 'must not be given twice' : undefined;
}

const FIELDS = {
  status: z
    .int()
    .refine(
      (status) => DENIED_STATUSES.has(status),
      'must be a status that Envoy knows: 400-417, 421-424, 426, 428, 429, 431 or 500-508',
    )
    .meta({
      description: 'HTTP status of a denied request: one of the error statuses that Envoy knows.',
      enum: [...DENIED_STATUSES],
    }),
  body: z.string().describe('Body of a denied response.'),
  contentType: z
    .string()
    .regex(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/, 'must be a media type')
    .describe('Media type of the body.'),
  exposeReason: z
    .boolean()
    .describe('Whether the client is sent the reason, in the response header `x-approov-reason`.'),
  headers: headers.meta({
    description: 'Further headers of a denied response; not those that the service or the connection sets.',
    examples: [{ 'retry-after': '30' }],
  }),
};

export const DENIED = z.strictObject({
  status: FIELDS.status.default(401),
  body: FIELDS.body.default('{}'),
  contentType: FIELDS.contentType.default('application/json'),
  exposeReason: FIELDS.exposeReason.default(false),
  headers: FIELDS.headers.default({}),
});

/** What a policy overrides, field by field. */
export const POLICY_DENIED = z.strictObject(FIELDS).partial();

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
