/** Generates requests as apps sign and send them. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { byteSequence, CLAIMS, joinSignatures, type Line, signLines } from './message-signature.ts';
import type { Sent } from './signed-traffic.ts';
import { freshToken } from './token.ts';

/** Percent-encoded bytes that Envoy leaves encoded: no unreserved characters, no slash, backslash or NUL. */
const ENCODED = '%(?:2[0-9A-C]|3[A-F]|40|5[BDE]|60|7[B-D]|C3%A9|E2%82%AC)';
export const PATH_CHARACTER = `(?:[A-Za-z0-9_~!$&'()*+,;=:@[\\]-]|${ENCODED})`;
/** Each segment has a first character that is not a dot: dot segments are resolved. */
const SEGMENT = fc.stringMatching(new RegExp(`^${PATH_CHARACTER}(?:${PATH_CHARACTER}|\\.){0,11}$`));
const QUERY = fc.stringMatching(/^[!-"$-~]{0,30}$/);
const VALUE = fc.stringMatching(/^[!-~](?:[ -~]{0,20}[!-~])?$/);

/** The claims of a token that names one key, or two. */
export const SIGNED_BY = { install: { ipk: CLAIMS.ipk }, account: { mskid: CLAIMS.mskid }, both: CLAIMS };

export interface HonestRequest extends Omit<Sent, 'headers'> {
  readonly headers: Readonly<Record<string, string>>;
  readonly signedBy: keyof typeof SIGNED_BY;
  /** How the target is covered. */
  readonly target: '@target-uri' | 'parts';
  readonly coversLength: boolean;
}

export const PLAIN: HonestRequest = {
  protocol: 'http/1.1',
  method: 'GET',
  authority: 'api.example.com',
  path: '/v1/shapes',
  headers: {},
  body: undefined,
  signedBy: 'install',
  target: '@target-uri',
  coversLength: false,
};

const MODEL = {
  protocol: fc.constantFrom('http/1.1', 'http/2'),
  method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH'),
  authority: fc.constantFrom(
    ...['api.example.com', 'api.example.com:8443', '192.0.2.1', '[2001:db8::1]', '[2001:db8::1]:8443'],
  ),
  segments: fc.array(SEGMENT, { minLength: 0, maxLength: 4 }),
  endsWithSlash: fc.boolean(),
  query: fc.option(QUERY, { nil: undefined }),
  headers: fc.record(
    { authorization: VALUE, 'content-type': VALUE, 'approov-traceid': VALUE },
    { requiredKeys: [] },
  ),
  body: fc.option(fc.uint8Array({ maxLength: 1024 }), { nil: undefined }),
  // With an account key alone, identical requests within one second would be replays.
  signedBy: fc.constantFrom('install', 'both'),
  target: fc.constantFrom('@target-uri', 'parts'),
  coversLength: fc.boolean(),
} as const;

function pathOf(segments: readonly string[], endsWithSlash: boolean, query: string | undefined): string {
  const path = `/${segments.join('/')}${endsWithSlash && segments.length > 0 ? '/' : ''}`;
  return query === undefined ? path : `${path}?${query}`;
}

/** Any request whose path Envoy leaves as it is. */
const HONEST: fc.Arbitrary<HonestRequest> = fc
  .record(MODEL)
  .map(({ segments, endsWithSlash, query, body, ...request }) => ({
    ...(request as Omit<HonestRequest, 'path' | 'body'>),
    path: pathOf(segments, endsWithSlash, query),
    body: body && Buffer.from(body),
  }));

const TOKENS = {
  install: freshToken(SIGNED_BY.install),
  account: freshToken(SIGNED_BY.account),
  both: freshToken(SIGNED_BY.both),
};

/** Signs it as an app does that is about to send it. */
export function signHonest(honest: HonestRequest, created = Math.floor(Date.now() / 1000)): Sent {
  const { method, authority, path, body, signedBy, target, coversLength, ...rest } = honest;
  const { protocol } = rest;
  const digest = body && `sha-256=${byteSequence(createHash('sha256').update(body).digest())}`;
  const length = body !== undefined && coversLength ? { 'content-length': `${body.length}` } : {};
  const headers = {
    'approov-token': TOKENS[signedBy],
    ...rest.headers,
    ...length,
    ...(digest && { 'content-digest': digest }),
  };
  const [withoutQuery = '', ...query] = path.split(/(?=\?)/);
  const parts: readonly Line[] = [
    ['"@authority"', authority],
    ['"@path"', withoutQuery],
    ['"@query"', query.join('') || '?'],
  ];
  const lines: readonly Line[] = [
    ['"@method"', method],
    ...(target === 'parts' ? parts : [['"@target-uri"', `https://${authority}${path}`] as const]),
    ...Object.entries(headers).map(([name, value]) => [`"${name}"`, value] as const),
  ];
  const labels = signedBy === 'both' ? (['install', 'account'] as const) : [signedBy];
  const signatures = labels.map((label) => {
    const algorithm = label === 'install' ? 'ecdsa-p256-sha256' : 'hmac-sha256';
    const parameters = `;created=${created};expires=${created + 15};alg="${algorithm}"`;
    return signLines({ label, lines, parameters });
  });
  return {
    protocol,
    method,
    authority,
    path,
    headers: { ...headers, ...joinSignatures(...signatures) },
    body,
  };
}

/** A request with everything that can be covered, for changes of it. */
export const FULL: fc.Arbitrary<Omit<HonestRequest, 'signedBy'>> = fc
  .record({
    ...MODEL,
    headers: fc.record({ authorization: VALUE, 'content-type': VALUE, 'approov-traceid': VALUE }),
  })
  .map(({ segments, endsWithSlash, query, body, ...request }) => ({
    ...(request as Omit<HonestRequest, 'path' | 'body'>),
    // Node's HTTP/1.1 client refuses methods that it does not know.
    ...{ protocol: 'http/2', method: 'POST', coversLength: false },
    path: pathOf(['a', ...segments], endsWithSlash, `b=${query ?? ''}`),
    body: Buffer.from([0, ...(body ?? [])]),
  }));

/** Each is signed when it is taken, so that it is as fresh as an app's. */
export function* honestRequests(count: number, seed: number): Generator<Sent> {
  for (const honest of fc.sample(HONEST, { numRuns: count, seed })) yield signHonest(honest);
}
