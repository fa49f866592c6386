/** Tests that no field of a request costs a running service many times the CPU of a plain request. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readMetrics } from '../support/admin-pages.ts';
import { type CheckedService, createScratch, startChecked } from '../support/checked-service.ts';
import {
  type CheckClient,
  createCheckClient,
  type RequestJson,
  requestWith,
} from '../support/grpc-client.ts';
import { base64url, freshToken, SECRET } from '../support/token.ts';
import { TRANSPORT } from '../support/transport.ts';

/** Envoy's defaults: at most 60 KiB of headers, and 100 of them. */
const MAX_BYTES = 60 * 1024;
const MAX_HEADERS = 100;
const MAX_TOKEN = 8192;

/** Requests per measurement. */
const REQUESTS = 60;
const WARM_UP_ROUNDS = 50;
const PLAIN_ROUNDS = 10;
/** Load on the machine only ever raises a measurement, so one measurement below the bound is proof. */
const MAX_ROUNDS = 20;
/** A plain request costs less on the lean transport, and what it carries costs the same. */
const BOUND = TRANSPORT === 'lean' ? 30 : 10;

const scratch = createScratch('request-cost');
let service: CheckedService;
let client: CheckClient;
let plainCost: number;

beforeAll(async () => {
  const secretFile = scratch.write('secret', SECRET);
  const names = Array.from({ length: 20 }, (_, index) => `p${index}`);
  // No policy denies, so that every policy evaluates an ambiguous request.
  const binding = { headers: ['authorization'], when: 'if-present' };
  // Public-key verifications have a limit of their own.
  const messageSignature = { install: 'off', account: 'when-mskid' };
  const policy = { mode: 'observe', binding, messageSignature };
  service = await startChecked(scratch, {
    keys: ['current', 'next', 'other'].map((id) => ({ id, secretFile, hosts: ['*.example.com'] })),
    messageSigningKeys: [{ id: 'account', mskid: 'm', secretFile }],
    policies: { default: policy, ...Object.fromEntries(names.map((name) => [name, policy])) },
    routes: names.flatMap((name) => [
      { pathPrefix: `/%40${name}/Orders`, policy: name },
      { host: `*.${name}.example.com`, policy: name },
    ]),
  });
  client = createCheckClient(service.grpc);
  const plain = requestWith(PLAIN_HEADERS);
  // The first requests cost several times as much, until V8 has compiled the code.
  for (let round = 0; round < WARM_UP_ROUNDS; round++) await measure(plain);
  plainCost = Number.POSITIVE_INFINITY;
  for (let round = 0; round < PLAIN_ROUNDS; round++) plainCost = Math.min(plainCost, await measure(plain));
});

afterAll(async () => {
  client.close();
  await service.kill();
  scratch.remove();
});

/** The cost of a request in plain requests, measured until it is below the bound. */
async function ratioOf(request: RequestJson): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < MAX_ROUNDS && least >= BOUND; round++) {
    least = Math.min(least, (await measure(request)) / plainCost);
  }
  return least;
}

/** CPU seconds of the service per request. */
async function measure(request: RequestJson): Promise<number> {
  const before = await cpuSeconds();
  await Promise.all(Array.from({ length: REQUESTS }, () => client.check(request)));
  return ((await cpuSeconds()) - before) / REQUESTS;
}

async function cpuSeconds(): Promise<number> {
  return (await readMetrics(service.admin)).get('process_cpu_seconds_total') ?? Number.NaN;
}

const PLAIN_HEADERS = { 'user-agent': 'app/1.0', accept: 'application/json', 'approov-token': freshToken() };
const AMBIGUOUS = { path: '/a//b' };

const signature = base64url('s'.repeat(32));
const jsonOf = (text: string): string => base64url(`{"alg":"HS256","x":${text}}`);
const nested = '['.repeat(2800) + ']'.repeat(2800);
const fill = (text: string): string => text.repeat(Math.floor(MAX_BYTES / text.length));
const numbered = (count: number, value: string) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-header-${index}`, value]));

/** A token that requires a signature of an account. */
const NAMING_A_KEY = { 'approov-token': freshToken({ mskid: 'm' }) };
const DERIVED = ['"@method"', '"@target-uri"', '"@authority"', '"@path"', '"@query"'];

/** A signature that does not verify, so that every reading of the request is tried. */
function signedOver(
  components: readonly string[],
  headers: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const created = Math.floor(Date.now() / 1000);
  return {
    ...NAMING_A_KEY,
    'signature-input': `account=(${components.join(' ')});created=${created}`,
    signature: `account=:${Buffer.alloc(32).toString('base64')}:`,
    ...headers,
  };
}

test.each<
  [field: string, headers: Readonly<Record<string, string>>, http?: Readonly<Record<string, string>>]
>([
  ['a path of escapes', {}, { path: `/${fill('%40a')}` }],
  ['a path of slashes', {}, { path: fill('/') }],
  ['a path of dot segments', {}, { path: fill('/..') }],
  ['a non-ASCII path', {}, { path: `/${fill('é').slice(0, MAX_BYTES / 2)}` }],
  ['a plain path of escapes', {}, { path: `/${'%C3%A9'.repeat(1365)}` }],
  ['a plain path in capitals', {}, { path: '/ABC/'.repeat(1).padEnd(8192, 'A') }],
  ['a query', {}, { path: `/?${fill('%')}` }],
  ['a host of letters', {}, { host: fill('a') }],
  ['a host of labels', {}, { host: fill('a.') }],
  ['a host of ports', {}, { host: fill(':1') }],
  ['a method', {}, { method: fill('A') }],
  ['as many headers as Envoy allows', numbered(MAX_HEADERS, 'v'.repeat(MAX_BYTES / MAX_HEADERS))],
  ['one header', { 'x-header': fill('v') }],
  ['a user agent', { 'user-agent': fill('v') }],
  ['a token of letters', { 'approov-token': fill('a') }],
  ['a token of dots', { 'approov-token': fill('.') }],
  ['a token of commas', { 'approov-token': fill(',') }],
  ['a token of blanks', { 'approov-token': `a${fill(' ')}a` }],
  ['a forged token', { 'approov-token': `${jsonOf('1')}.${'a'.repeat(8000)}.${signature}` }],
  ['a nested token header', { 'approov-token': `${jsonOf(nested)}.YQ.${signature}` }],
  [
    'a kid',
    { 'approov-token': `${base64url(`{"alg":"HS256","kid":"${'k'.repeat(5900)}"}`)}.YQ.${signature}` },
  ],
  ['a JWE header', { 'approov-token': `${jsonOf(nested)}..YQ.YQ.YQ` }],
  ['claims', { 'approov-token': freshToken({ x: Array(1400).fill([1]) }).slice(0, MAX_TOKEN) }],
  [
    'a bound Authorization',
    { 'approov-token': freshToken({ pay: Buffer.alloc(32).toString('base64') }), authorization: fill('a') },
  ],
  ['an Authorization of blanks', { 'approov-token': freshToken({ pay: 'x' }), authorization: fill(' ') }],
  ['a signed header', signedOver(['"x-header"', ...DERIVED], { 'x-header': fill('v') }), { path: '/a?b' }],
  ['a signed path', signedOver(DERIVED), { path: `/${'%C3%A9'.repeat(8000)}?b`, host: 'A.Example.com:443' }],
  [
    'signed parameters of a query',
    signedOver(Array.from({ length: 32 }, (_, index) => `"@query-param";name="p${index}"`)),
    { path: `/?${Array.from({ length: 32 }, (_, index) => `p${index}=${'%20'.repeat(30)}`).join('&')}` },
  ],
  [
    'signed headers, as many as Envoy allows',
    signedOver(
      Array.from({ length: 32 }, (_, index) => `"x-header-${index}"`),
      numbered(MAX_HEADERS - 8, 'v'.repeat(MAX_BYTES / MAX_HEADERS)),
    ),
  ],
  ['a signed header of blanks', signedOver(['"x-header"'], { 'x-header': `a${fill(' ')}a` })],
  ['labels of signatures', { 'signature-input': `a=${'("@method" )'.repeat(340)}`, ...NAMING_A_KEY }],
  ['a dictionary of commas', { 'signature-input': ','.repeat(4096), ...NAMING_A_KEY }],
  ['a status word', { 'approov-status': fill('a') }],
  ['a status word of blanks', { 'approov-status': `a${fill(' ')}a` }],
])(
  `%s costs at most ${BOUND} times a plain request, under one policy or under 21`,
  async (_, headers, http = {}) => {
    const hostile = { ...PLAIN_HEADERS, ...headers };
    expect(await ratioOf(requestWith(hostile, http))).toBeLessThan(BOUND);
    expect(await ratioOf(requestWith(hostile, { ...AMBIGUOUS, ...http }))).toBeLessThan(BOUND);
  },
);
