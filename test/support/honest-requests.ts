/** Generates requests as apps sign and send them, and well-formed changes of what their signatures cover. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { byteSequence, CLAIMS, joinSignatures, type Line, signLines } from './message-signature.ts';
import type { Sent } from './signed-traffic.ts';
import { freshToken } from './token.ts';

/** Percent-encoded bytes that Envoy leaves encoded: no unreserved characters, no slash, backslash or NUL. */
const ENCODED = '%(?:2[0-9A-C]|3[A-F]|40|5[BDE]|60|7[B-D]|C3%A9|E2%82%AC)';
const PATH_CHARACTER = `(?:[A-Za-z0-9_~!$&'()*+,;=:@[\\]-]|${ENCODED})`;
/** Each segment has a first character that is not a dot: dot segments are resolved. */
const SEGMENT = fc.stringMatching(new RegExp(`^${PATH_CHARACTER}(?:${PATH_CHARACTER}|\\.){0,11}$`));
const QUERY = fc.stringMatching(/^[!-"$-~]{0,30}$/);
const VALUE = fc.stringMatching(/^[!-~](?:[ -~]{0,20}[!-~])?$/);

/** With a token that names one key, or two. */
const SIGNED_BY = { install: { ipk: CLAIMS.ipk }, both: CLAIMS };

export interface HonestRequest extends Omit<Sent, 'headers'> {
  readonly headers: Readonly<Record<string, string>>;
  readonly signedBy: keyof typeof SIGNED_BY;
  /** How the target is covered. */
  readonly target: '@target-uri' | 'parts';
  readonly coversLength: boolean;
}

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
  signedBy: fc.constantFrom(...(Object.keys(SIGNED_BY) as (keyof typeof SIGNED_BY)[])),
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

const TOKENS = { install: freshToken(SIGNED_BY.install), both: freshToken(SIGNED_BY.both) };

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
  const labels = signedBy === 'both' ? (['install', 'account'] as const) : (['install'] as const);
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
const FULL: fc.Arbitrary<HonestRequest> = fc
  .record({
    ...MODEL,
    headers: fc.record({ authorization: VALUE, 'content-type': VALUE, 'approov-traceid': VALUE }),
  })
  .map(({ segments, endsWithSlash, query, body, ...request }) => ({
    ...(request as Omit<HonestRequest, 'path' | 'body'>),
    // Node's HTTP/1.1 client refuses methods that it does not know.
    ...{ protocol: 'http/2', method: 'POST', signedBy: 'install', coversLength: false },
    path: pathOf(['a', ...segments], endsWithSlash, `b=${query ?? ''}`),
    body: Buffer.from([0, ...(body ?? [])]),
  }));

type Change = (sent: Sent) => Sent;

/** One other character: replaced, inserted, or none. */
function otherText(characters: string, isValid: RegExp): fc.Arbitrary<(text: string) => string> {
  const pick = fc.record({
    place: fc.nat(),
    kind: fc.constantFrom('replace', 'insert', 'remove'),
    character: fc.constantFrom(...characters),
  });
  return fc.array(pick, { minLength: 40, maxLength: 40 }).map((picks) => (text) => {
    for (const { place, kind, character } of picks) {
      const start = place % (text.length + (kind === 'insert' ? 1 : 0));
      const inserted = kind === 'remove' ? '' : character;
      const changed = text.slice(0, start) + inserted + text.slice(kind === 'insert' ? start : start + 1);
      if (changed !== text && isValid.test(changed)) return changed;
    }
    return `${text}x`;
  });
}

const WHOLE_PATH = new RegExp(`^(?:/${PATH_CHARACTER}(?:${PATH_CHARACTER}|\\.)*)+/?$`);
const VISIBLE = String.fromCharCode(...Array.from({ length: 94 }, (_, index) => 0x21 + index));
const WHOLE_VALUE = /^[!-~](?:[ -~]*[!-~])?$/;

const other = {
  method: otherText('ABCDEFGHIJKLMNOPQRSTUVWXYZ', /^[A-Z]+$/),
  path: otherText("AZaz09_~!$&'()*+,;=:@-./", WHOLE_PATH),
  query: otherText(VISIBLE.replace('#', ''), /^[^#]*$/),
  value: otherText(VISIBLE, WHOLE_VALUE),
};

const changeHeader =
  (name: string, change: (value: string) => string): Change =>
  (sent) => ({
    ...sent,
    headers: { ...sent.headers, [name]: change(sent.headers[name] ?? '') },
  });

const SHIFT = fc.integer({ min: -40, max: 40 }).filter((seconds) => seconds !== 0);

const shift =
  (parameter: string, seconds: number) =>
  (input: string): string =>
    input.replace(new RegExp(`(?<=;${parameter}=)\\d+`), (time) => `${Number(time) + seconds}`);

const covered = (change: (names: readonly string[]) => readonly string[]): Change =>
  changeHeader('signature-input', (input) =>
    input.replace(/(?<=\()[^)]*/, (list) => change(list.split(' ')).join(' ')),
  );

/** By the part that changes. Every result is a well-formed request with well-formed signature headers. */
export const CHANGES: Readonly<Record<string, fc.Arbitrary<Change>>> = {
  '@method': other.method.map((change) => (sent) => ({ ...sent, method: change(sent.method) })),
  '@authority': fc
    .constantFrom('api.example.org', 'api.example.com:8444', 'a.example.com', '192.0.2.2', '[2001:db8::2]')
    .map((authority) => (sent) => ({ ...sent, authority })),
  '@path': other.path.map((change) => (sent) => {
    const [path = '', ...query] = sent.path.split(/(?=\?)/);
    return { ...sent, path: change(path) + query.join('') };
  }),
  '@query': other.query.map((change) => (sent) => {
    const mark = sent.path.indexOf('?') + 1;
    return { ...sent, path: sent.path.slice(0, mark) + change(sent.path.slice(mark)) };
  }),
  'approov-token, for another one of the same installation': fc.constant(
    changeHeader('approov-token', () => freshToken(SIGNED_BY.install)),
  ),
  authorization: other.value.map((change) => changeHeader('authorization', change)),
  'content-type': other.value.map((change) => changeHeader('content-type', change)),
  'approov-traceid': other.value.map((change) => changeHeader('approov-traceid', change)),
  'the body': fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })).map(([place, byte]) => (sent) => {
    const body = Buffer.from(sent.body ?? []);
    const index = place % body.length;
    body[index] = (body[index] ?? 0) ^ byte;
    return { ...sent, body };
  }),
  'the body and content-digest': fc
    .uint8Array({ minLength: 1025, maxLength: 1100 })
    .map((bytes) => (sent) => {
      const digest = `sha-256=${byteSequence(createHash('sha256').update(bytes).digest())}`;
      return { ...changeHeader('content-digest', () => digest)(sent), body: Buffer.from(bytes) };
    }),
  created: SHIFT.map((seconds) => changeHeader('signature-input', shift('created', seconds))),
  expires: SHIFT.map((seconds) => changeHeader('signature-input', shift('expires', seconds))),
  'alg, which is left out, or written otherwise': fc
    .constantFrom('', ';alg="ecdsa-p256-sha256" ', '; alg="ecdsa-p256-sha256"', ';alg="hmac-sha256"')
    .map((alg) => changeHeader('signature-input', (input) => input.replace(/;alg="[^"]*"/, alg))),
  'a parameter more': fc
    .constantFrom('nonce', 'keyid', 'tag', 'x')
    .map((name) => changeHeader('signature-input', (input) => `${input};${name}="1"`)),
  'the order of parameters': fc.constant(
    changeHeader('signature-input', (input) => input.replace(/(;created=\d+)(;expires=\d+)/, '$2$1')),
  ),
  'a component less': fc
    .nat()
    .map((place) => covered((names) => names.filter((_, index) => index !== place % names.length))),
  'a component more': fc
    .constantFrom('"@scheme"', '"@request-target"', '"user-agent"', '"x-request-id"')
    .map((name) => covered((names) => [...names, name])),
  'the order of components': fc
    .nat()
    .map((place) =>
      covered((names) =>
        names.map((_, index) => names[(index + 1 + (place % (names.length - 1))) % names.length] ?? ''),
      ),
    ),
  'the signature, by one bit': fc.nat({ max: 511 }).map((bit) =>
    changeHeader('signature', (text) => {
      const bytes = Buffer.from(text.slice('install=:'.length, -1), 'base64');
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      return `install=${byteSequence(bytes)}`;
    }),
  ),
  'the signature, for random bytes': fc
    .uint8Array({ minLength: 64, maxLength: 64 })
    .map((bytes) => changeHeader('signature', () => `install=${byteSequence(Buffer.from(bytes))}`)),
};

/** Each is signed when it is taken, so that it is as fresh as an app's. */
export function* honestRequests(count: number, seed: number): Generator<Sent> {
  for (const honest of fc.sample(HONEST, { numRuns: count, seed })) yield signHonest(honest);
}

/** Requests that were signed and then changed. */
export function* changedRequests(change: fc.Arbitrary<Change>, count: number, seed: number): Generator<Sent> {
  for (const [honest, apply] of fc.sample(fc.tuple(FULL, change), { numRuns: count, seed })) {
    yield apply(signHonest(honest));
  }
}
