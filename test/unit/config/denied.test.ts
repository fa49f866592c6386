/** Tests which denied responses a configuration may set, for all policies and for one. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { parseConfig } from '../../../src/config/parse.ts';
import { SECRET } from '../../support/token.ts';

const parse = (text: string) => parseConfig(text, { APPROOV_BASE64_SECRET: SECRET });

const VALUE = 'must be ASCII without control characters, and not empty';
const OWN = 'must not be set: it is set in every denied response';
const HOP = 'must not be set: hop-by-hop headers belong to Envoy';
const OURS = 'must not be a header that this service sets; for the reason there is exposeReason';
const NAME = 'the name must be a header name';

describe.each([
  { place: 'denied', around: (denied: string) => `denied: ${denied}` },
  {
    place: 'policies.default.denied',
    around: (denied: string) => `policies: {default: {denied: ${denied}}}`,
  },
])('$place', ({ place, around }) => {
  it.each([
    ['{"a b": x}', `a b: ${NAME}`],
    ['{"": x}', `"": ${NAME}`],
    ['{":status": x}', `:status: ${NAME}`],
    ['{é: x}', `é: ${NAME}`],
    ['{retry-after: ""}', `retry-after: "" ${VALUE}`],
    ['{retry-after: "a\\r\\nb: c"}', `retry-after: "a\\r\\nb: c" ${VALUE}`],
    ['{retry-after: " 30"}', `retry-after: " 30" ${VALUE}`],
    ['{retry-after: "ü"}', `retry-after: "ü" ${VALUE}`],
    ['{Vary: a, vary: b}', 'vary: must not be given twice'],
    ['{Content-Type: a/b}', 'Content-Type: must not be set here; use contentType'],
    ['{cache-control: public}', `cache-control: ${OWN}`],
    ['{www-authenticate: Bearer}', `www-authenticate: ${OWN}`],
    ['{content-length: "5"}', `content-length: ${OWN}`],
    ['{x-approov-reason: a}', `x-approov-reason: ${OURS}`],
    ['{X_Approov-Verdict: a}', `X_Approov-Verdict: ${OURS}`],
    ['{Connection: a}', `Connection: ${HOP}`],
    ['{keep-alive: a}', `keep-alive: ${HOP}`],
    ['{proxy-connection: a}', `proxy-connection: ${HOP}`],
    ['{te: a}', `te: ${HOP}`],
    ['{trailer: a}', `trailer: ${HOP}`],
    ['{Transfer-Encoding: chunked}', `Transfer-Encoding: ${HOP}`],
    ['{upgrade: a}', `upgrade: ${HOP}`],
  ])('must not have the headers %s', (headers, expected) => {
    const { problems } = parse(around(`{headers: ${headers}}`));
    expect(problems.map(({ path, message }) => `${path}: ${message}`)).toEqual([
      `${place}.headers.${expected}`,
    ]);
  });

  it.each([
    [
      '{status: 200}',
      'status: 200 must be a status that Envoy knows: 400-417, 421-424, 426, 428, 429, 431 or 500-508',
    ],
    ['{contentType: ""}', 'contentType: "" must be a media type'],
    ['{text: a}', 'text: unknown field; known: status, body, contentType, exposeReason, headers'],
  ])('must not be %s', (denied, expected) => {
    const { problems } = parse(around(denied));
    expect(problems.map(({ path, message }) => `${path}: ${message}`)).toEqual([`${place}.${expected}`]);
  });
});

describe('the denied response of a policy', () => {
  const policies = (text: string) => parse(text).config?.policyTable.policies;

  it('is the top-level one, unless the policy sets its own', () => {
    expect(policies('denied: {status: 403}')?.get('default')?.denied).toBeUndefined();
  });

  it('inherits each field that the policy leaves out', () => {
    const table = policies(`
denied: {status: 403, body: all, headers: {Retry-After: "30"}}
policies:
  part: {denied: {body: own}}
  headers: {denied: {headers: {Vary: "Origin, Accept"}}}
  whole: {denied: {status: 429, body: "", contentType: text/plain, exposeReason: true, headers: {}}}
`);
    const forAll = { status: 403, contentType: 'application/json', exposeReason: false };
    expect(table?.get('part')?.denied).toEqual({ ...forAll, body: 'own', headers: { 'retry-after': '30' } });
    expect(table?.get('headers')?.denied).toEqual({
      ...forAll,
      body: 'all',
      headers: { vary: 'Origin, Accept' },
    });
    expect(table?.get('whole')?.denied).toEqual({
      status: 429,
      body: '',
      contentType: 'text/plain',
      exposeReason: true,
      headers: {},
    });
  });
});

it('the denied response for browsers in the Istio page is valid', () => {
  const page = readFileSync(new URL('../../../docs/install/istio.md', import.meta.url), 'utf8');
  const [, example = ''] = /```yaml\n( *config:\n.*?denied:.*?)```/s.exec(page) ?? [];
  const { config } = parseYaml(example) as { config: object };
  const { policyTable } = parse(JSON.stringify(config)).config ?? {};
  expect(policyTable?.policies.get('web')?.denied).toEqual({
    status: 401,
    body: '{}',
    contentType: 'application/json',
    exposeReason: false,
    headers: {
      'access-control-allow-origin': 'https://app.example.com',
      'access-control-expose-headers': 'retry-after',
      vary: 'Origin',
      'retry-after': '30',
    },
  });
});
