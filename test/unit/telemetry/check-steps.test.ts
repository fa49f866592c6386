/** Tests what the debug log says about the steps of a check. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { CheckRequest } from '../../../src/authz/check-request.ts';
import { type Decision, decide, decideUnreadable } from '../../../src/authz/decide.ts';
import { choosePolicies } from '../../../src/authz/policy.ts';
import { describeSteps } from '../../../src/telemetry/check-steps.ts';
import {
  checkRequest,
  checkVerifier,
  keysetOf,
  NOW,
  policy,
  policyTable,
  type RequestFields,
  route,
  symmetricKey,
  verify,
} from '../../support/check.ts';
import {
  MESSAGE_SIGNING_KEYS,
  SIGNED_TOKEN,
  signaturePolicy,
  signHeaders,
} from '../../support/signed-check.ts';
import { base64url, mintToken, OTHER_SECRET, OTHER_SECRET_BYTES } from '../../support/token.ts';

const STRICT = policy({
  name: 'strict',
  issuer: ['approov.io'],
  audience: 'host',
  clockToleranceSeconds: 5,
  binding: { headers: ['authorization', 'x-session'], when: 'if-present' },
});
const SIGNED = policy({
  name: 'signed',
  messageSignature: signaturePolicy({ account: 'when-mskid' }),
});
const OPEN = policy({ name: 'open', mode: 'off' });
const TABLE = policyTable(
  policy(),
  [
    route(STRICT, { pathPrefix: '/strict' }),
    route(SIGNED, { pathPrefix: '/signed' }),
    route(OPEN, { pathPrefix: '/open' }),
  ],
  [],
);
const KEYSET = keysetOf(
  symmetricKey(),
  symmetricKey({ id: 'next', secret: OTHER_SECRET }),
  symmetricKey({ id: 'named', kid: 'k' }),
);

/** As the log prints it: without fields that are undefined. */
function print(request: CheckRequest | undefined, decision: Decision): unknown {
  const record = { request, decision, traceparent: undefined, nowSeconds: NOW, durationSeconds: 0 };
  return JSON.parse(JSON.stringify(describeSteps(record, TABLE)));
}

function stepsOf(fields: RequestFields): unknown {
  const request = checkRequest(fields);
  const choice = choosePolicies(request, TABLE);
  return print(
    request,
    decide(
      request,
      choice,
      checkVerifier((token) => verify(token, KEYSET), MESSAGE_SIGNING_KEYS),
      NOW,
    ),
  );
}

test('a check that passes has the facts of every step', () => {
  const pay = createHash('sha256').update('Bearer one').update('two').digest('base64');
  const claims = { exp: NOW + 60, nbf: NOW - 60, iss: 'approov.io', aud: ['api.example.com'], pay };
  const token = mintToken(claims, { secret: OTHER_SECRET_BYTES });
  const headers = { 'approov-token': token, authorization: 'Bearer one', 'x-session': 'two' };
  expect(stepsOf({ path: '/strict/a', headers })).toEqual({
    steps: {
      policy: { chosen_by: 'route' },
      token: { header: 'approov-token', form: 'jws' },
      key: { key_ids: ['next'], algorithms: ['HS256'] },
      lifetime: { exp: NOW + 60, nbf: NOW - 60, now: NOW, clock_tolerance_seconds: 5 },
      claims: {
        iss: 'approov.io',
        aud: '["api.example.com"]',
        expected_issuer: ['approov.io'],
        expected_audience: ['api.example.com', 'api.example.com'],
      },
      binding: { has_pay: true, headers: { authorization: 'present', 'x-session': 'present' } },
    },
  });
});

test('a check that fails has the facts up to the step that stopped it', () => {
  const headers = { 'approov-token': mintToken({ exp: NOW - 60 }) };
  expect(stepsOf({ headers })).toEqual({
    stopped_by: 'lifetime',
    steps: {
      policy: { chosen_by: 'default' },
      token: { header: 'approov-token', form: 'jws' },
      key: { key_ids: ['current'], algorithms: ['HS256'] },
      lifetime: { exp: NOW - 60, now: NOW, clock_tolerance_seconds: 0 },
    },
  });
});

test('a signature that no key verifies has every key that was tried', () => {
  const token = mintToken({ exp: NOW + 60 }, { secret: Buffer.alloc(32, 'x') });
  expect(stepsOf({ headers: { 'approov-token': token } })).toMatchObject({
    stopped_by: 'signature',
    steps: { key: { key_ids: ['current', 'next', 'named'], algorithms: ['HS256'] } },
  });
});

test.each<[name: string, fields: RequestFields, expected: object]>([
  ['a check without a token', {}, { stopped_by: 'token', steps: { token: { form: 'none' } } }],
  [
    'a check with two tokens',
    { headers: { 'approov-token': ['a', 'b'] } },
    { stopped_by: 'token', steps: { token: { form: 'duplicate' } } },
  ],
  [
    'a check with a malformed token',
    { headers: { 'approov-token': 'a.b' } },
    { stopped_by: 'token', steps: { token: { form: 'malformed' } } },
  ],
  [
    'a check with an encrypted token that no key decrypts',
    { headers: { 'approov-token': `${base64url('{"alg":"dir"}')}..AA.AA.AA` } },
    { stopped_by: 'key', steps: { token: { form: 'jwe' }, key: { key_ids: [] } } },
  ],
  [
    'a check of a policy that Envoy named',
    { policyName: 'default', path: '/strict' },
    { steps: { policy: { chosen_by: 'envoy' } } },
  ],
])('%s says so', (_name, fields, expected) => {
  expect(stepsOf(fields)).toMatchObject(expected);
});

test('a skipped check, and one of a policy that is not configured, has no facts but the choice of the policy', () => {
  expect(stepsOf({ path: '/open' })).toEqual({
    stopped_by: 'policy',
    steps: { policy: { chosen_by: 'route' } },
  });
  expect(stepsOf({ policyName: 'none' })).toEqual({
    stopped_by: 'policy',
    steps: { policy: { chosen_by: 'envoy' } },
  });
});

test('a message that does not decode has no facts', () => {
  expect(print(undefined, decideUnreadable())).toEqual({ steps: {} });
});

test('a claim of another type is JSON, and long text is cut', () => {
  const claims = { exp: NOW + 60, iss: { name: 'x'.repeat(400) }, aud: 'y'.repeat(400), nbf: null };
  const token = mintToken({ ...claims, nbf: undefined });
  expect(stepsOf({ path: '/strict', headers: { 'approov-token': token } })).toMatchObject({
    stopped_by: 'claims',
    steps: {
      claims: {
        iss: `{"name":"${'x'.repeat(247)}`,
        aud: 'y'.repeat(256),
      },
    },
  });
  expect(stepsOf({ headers: { 'approov-token': mintToken(claims) } })).toMatchObject({
    stopped_by: 'lifetime',
    steps: { lifetime: { nbf: 'null' } },
  });
});

test('a signed request has its signatures, without what was signed', () => {
  const path = '/signed/a?key=planted';
  const labels = ['install', 'account'] as const;
  const headers = signHeaders({ path, labels, created: NOW - 5, headers: { authorization: 'planted' } });
  const steps = stepsOf({ path, headers });
  const components = ['@method', '@target-uri', 'approov-token', 'authorization'];
  const signature = { age_seconds: 5, components, reading: 'rfc9421' };
  expect(steps).toMatchObject({
    steps: {
      message_signature: {
        required: true,
        verified: [
          { label: 'install', ...signature },
          { label: 'account', key_id: 'account-key', ...signature },
        ],
        content_digest: 'not_covered',
        body: 'unseen',
      },
    },
  });
  expect(JSON.stringify(steps)).not.toContain('planted');
});

test.each([
  {
    name: 'is not verified',
    headers: signHeaders({ path: '/other', labels: ['install', 'account'] }),
    expected: { label: 'install', problem: 'not_verified', verified: [] },
  },
  {
    name: 'is missing',
    headers: { 'approov-token': SIGNED_TOKEN },
    expected: { label: 'install', verified: [] },
  },
])('a request whose signature $name has the label of it', ({ headers, expected }) => {
  expect(stepsOf({ path: '/signed', headers })).toMatchObject({
    stopped_by: 'message_signature',
    steps: { message_signature: expected },
  });
});

test('a request from which no signature is required says so', () => {
  const headers = { 'approov-token': mintToken({ exp: NOW + 60 }) };
  expect(stepsOf({ path: '/signed', headers })).toMatchObject({
    steps: { message_signature: { required: false } },
  });
});
