/** Lists the cases of a decision by step, including those in which two things are wrong and the earlier step wins. */
import { createHash } from 'node:crypto';
import { payClaim } from '../../src/approov/token-binding.ts';
import type { Policy } from '../../src/authz/policy.ts';
import type { Reason } from '../../src/authz/reason.ts';
import { keysetOf, NOW, type RequestFields, symmetricKey } from './check.ts';
import { CLAIMS } from './message-signature.ts';
import { SIGNED_TOKEN, signaturePolicy, signHeaders } from './signed-check.ts';
import { base64url, mintToken, OTHER_SECRET_BYTES } from './token.ts';

/** One HS256 key that declares the `kid` k1. */
export const KEYSET = keysetOf(symmetricKey({ kid: 'k1' }));

const GOOD = { exp: NOW + 300 };
const BEARER = 'Bearer abc';
const mint = mintToken;
const good = mint(GOOD);
const forged = (claims: unknown, header = {}) => mint(claims, { header, secret: OTHER_SECRET_BYTES });
const [, PAYLOAD = '', SIGNATURE = ''] = good.split('.');

/** A request at {@link NOW} and its expected reason. */
export interface DecisionCase {
  readonly name: string;
  readonly token?: string;
  readonly request?: RequestFields;
  readonly policy?: Partial<Policy>;
  readonly reason: Reason;
}

const preflight = { origin: 'https://app.test', 'access-control-request-method': 'POST' };
const bound = { binding: { headers: ['authorization'], when: 'if-present' } } as const;
const required = { binding: { headers: ['authorization'], when: 'required' } } as const;
const strict: Partial<Policy> = {
  ...required,
  issuer: ['acme.approov.io'],
  audience: ['api.example.com'],
};
const claimed = { ...GOOD, iss: 'acme.approov.io', aud: 'api.example.com' };

const signed = { messageSignature: signaturePolicy() };
const EMPTY_DIGEST = `sha-256=:${createHash('sha256').update('').digest('base64')}:`;

/** By the step that gives the reason. */
export const DECISION_CASES: Readonly<Record<string, readonly DecisionCase[]>> = {
  '1, the policy': [
    {
      name: 'an unknown policy',
      token: good,
      request: { policyName: 'unconfigured' },
      reason: 'unknown_policy',
    },
    {
      name: 'an unknown policy and a preflight',
      request: { policyName: '', method: 'OPTIONS', headers: preflight },
      reason: 'unknown_policy',
    },
    { name: 'off', policy: { mode: 'off' }, reason: 'policy_off' },
    { name: 'off and a forged token', policy: { mode: 'off' }, token: forged(GOOD), reason: 'policy_off' },
    {
      name: 'off and a preflight',
      policy: { mode: 'off' },
      request: { method: 'OPTIONS', headers: preflight },
      reason: 'policy_off',
    },
    { name: 'a preflight', request: { method: 'OPTIONS', headers: preflight }, reason: 'cors_preflight' },
    {
      name: 'a preflight with a forged token',
      token: forged(GOOD),
      request: { method: 'OPTIONS', headers: preflight },
      reason: 'cors_preflight',
    },
    {
      name: 'a preflight with two tokens',
      request: { method: 'OPTIONS', headers: { ...preflight, 'approov-token': ['a', 'b'] } },
      reason: 'cors_preflight',
    },
    {
      name: 'a preflight under a policy that does not allow it',
      policy: { allowCorsPreflight: false },
      request: { method: 'OPTIONS', headers: preflight },
      reason: 'missing_approov_token',
    },
    {
      name: 'OPTIONS without origin',
      request: { method: 'OPTIONS', headers: { 'access-control-request-method': 'POST' } },
      reason: 'missing_approov_token',
    },
    {
      name: 'OPTIONS without access-control-request-method',
      request: { method: 'OPTIONS', headers: { origin: 'https://app.test' } },
      reason: 'missing_approov_token',
    },
    ...[
      { name: 'an empty origin', headers: { ...preflight, origin: '' } },
      { name: 'a blank origin', headers: { ...preflight, origin: ' \t' } },
      { name: 'two origins', headers: { ...preflight, origin: ['https://a.test', 'https://b.test'] } },
      ...['', ' ', 'PO ST', 'POST,GET', 'POST/', 'PÖST', ['POST', 'POST']].map((value) => ({
        name: `${JSON.stringify(value)} as requested method`,
        headers: { ...preflight, 'access-control-request-method': value },
      })),
    ].map(({ name, headers }) => ({
      name: `OPTIONS with ${name}`,
      request: { method: 'OPTIONS', headers },
      reason: 'missing_approov_token' as const,
    })),
    {
      name: 'a preflight for a custom method with white space around it',
      request: {
        method: 'OPTIONS',
        headers: { ...preflight, 'access-control-request-method': ' M-SEARCH ' },
      },
      reason: 'cors_preflight',
    },
    {
      name: 'GET with the headers of a preflight',
      request: { headers: preflight },
      reason: 'missing_approov_token',
    },
    {
      name: 'a preflight with a method in lower case',
      request: { method: 'options', headers: preflight },
      reason: 'missing_approov_token',
    },
  ],
  '2, the token': [
    { name: 'no token', reason: 'missing_approov_token' },
    { name: 'an empty token', token: '', reason: 'missing_approov_token' },
    { name: 'a status word', token: 'NO_NETWORK', reason: 'missing_approov_token' },
    {
      name: 'two tokens',
      request: { headers: { 'approov-token': [good, good] } },
      reason: 'duplicate_approov_token',
    },
    { name: 'two tokens joined, both malformed', token: '!,!', reason: 'duplicate_approov_token' },
    { name: 'a word, as an SDK sends in place of a token', token: 'adasd', reason: 'missing_approov_token' },
    { name: 'a text that is not a JWT', token: 'adasdasdsadasd1', reason: 'invalid_token_format' },
    {
      name: 'a token that is too long and forged',
      token: forged({ pad: 'x'.repeat(8192) }),
      reason: 'invalid_token_format',
    },
    {
      name: 'a bad payload and crit',
      token: `${base64url('{"crit":[]}')}.!.${SIGNATURE}`,
      reason: 'invalid_token_format',
    },
    { name: 'a bad header and no signature', token: `QQ.${PAYLOAD}.`, reason: 'invalid_token_format' },
  ],
  '3, the key': [
    {
      name: 'alg none and an empty signature',
      token: `${base64url('{"alg":"none"}')}.${PAYLOAD}.`,
      reason: 'unsupported_token_algorithm',
    },
    {
      name: 'crit and an empty signature',
      token: `${base64url('{"alg":"HS256","crit":["b64"]}')}.${PAYLOAD}.`,
      reason: 'unsupported_token_algorithm',
    },
    {
      name: 'crit and an unknown kid',
      token: mint(GOOD, { header: { crit: ['x'], kid: 'k9' } }),
      reason: 'unsupported_token_algorithm',
    },
    {
      name: 'a JWE',
      token: `${base64url('{"alg":"dir","enc":"A256GCM","kid":"k9"}')}..QQ.QQ.QQ`,
      reason: 'unsupported_token_algorithm',
    },
    {
      name: 'an empty signature and an unknown kid',
      token: `${base64url('{"alg":"HS256","kid":"k9"}')}.${PAYLOAD}.`,
      reason: 'invalid_token_format',
    },
    {
      name: 'an empty signature and an alg of no key',
      token: `${base64url('{"alg":"HS512"}')}.${PAYLOAD}.`,
      reason: 'invalid_token_format',
    },
    { name: 'an unknown kid', token: mint(GOOD, { header: { kid: 'k9' } }), reason: 'unknown_key_id' },
    {
      name: 'an unknown kid and an alg of no key',
      token: mint(GOOD, { header: { kid: 'k9', alg: 'HS512' } }),
      reason: 'unknown_key_id',
    },
    {
      name: 'an alg of no key and a forged signature',
      token: forged(GOOD, { alg: 'HS512' }),
      reason: 'unsupported_token_algorithm',
    },
  ],
  '4, the signature': [
    { name: 'a forged token', token: forged(GOOD), reason: 'invalid_token_signature' },
    {
      name: 'a forged token of the right kid',
      token: forged(GOOD, { kid: 'k1' }),
      reason: 'invalid_token_signature',
    },
    { name: 'a forged and expired token', token: forged({ exp: 1 }), reason: 'invalid_token_signature' },
    { name: 'a forged token without exp', token: forged({}), reason: 'invalid_token_signature' },
    {
      name: 'a forged token that is not yet valid',
      token: forged({ ...GOOD, nbf: NOW + 100 }),
      reason: 'invalid_token_signature',
    },
    {
      name: 'a forged token of another issuer',
      token: forged(GOOD),
      policy: strict,
      reason: 'invalid_token_signature',
    },
    {
      name: 'a forged token whose payload is not an object',
      token: forged([]),
      reason: 'invalid_token_signature',
    },
    { name: 'a signed payload that is not an object', token: mint([]), reason: 'invalid_token_format' },
  ],
  '5, the lifetime': [
    { name: 'no exp', token: mint({}), reason: 'missing_expiry' },
    { name: 'exp as a string', token: mint({ exp: `${NOW + 300}` }), reason: 'missing_expiry' },
    { name: 'no exp and a future nbf', token: mint({ nbf: NOW + 1 }), reason: 'missing_expiry' },
    { name: 'at exp', token: mint({ exp: NOW }), reason: 'token_expired' },
    {
      name: 'after exp but within tolerance',
      token: mint({ exp: NOW - 4.5 }),
      policy: { clockToleranceSeconds: 5 },
      reason: 'ok',
    },
    {
      name: 'at exp plus tolerance',
      token: mint({ exp: NOW - 5 }),
      policy: { clockToleranceSeconds: 5 },
      reason: 'token_expired',
    },
    {
      name: 'expired and not yet valid',
      token: mint({ exp: NOW - 9, nbf: NOW + 9 }),
      reason: 'token_expired',
    },
    {
      name: 'expired and of another issuer',
      token: mint({ exp: NOW - 9 }),
      policy: strict,
      reason: 'token_expired',
    },
    { name: 'before nbf', token: mint({ ...GOOD, nbf: NOW + 0.5 }), reason: 'token_not_yet_valid' },
    { name: 'nbf as a string', token: mint({ ...GOOD, nbf: '1' }), reason: 'token_not_yet_valid' },
    {
      name: 'before nbf and of another issuer',
      token: mint({ ...GOOD, nbf: NOW + 9 }),
      policy: strict,
      reason: 'token_not_yet_valid',
    },
  ],
  '6, issuer and audience': [
    {
      name: 'no issuer',
      token: mint({ ...claimed, iss: undefined }),
      policy: strict,
      reason: 'claim_mismatch',
    },
    {
      name: 'an empty issuer',
      token: mint({ ...claimed, iss: '' }),
      policy: strict,
      reason: 'claim_mismatch',
    },
    {
      name: 'another issuer',
      token: mint({ ...claimed, iss: 'b' }),
      policy: strict,
      reason: 'claim_mismatch',
    },
    {
      name: 'another audience',
      token: mint({ ...claimed, aud: 'b' }),
      policy: strict,
      reason: 'claim_mismatch',
    },
    {
      name: 'an empty audience',
      token: mint({ ...claimed, aud: '' }),
      policy: strict,
      reason: 'claim_mismatch',
    },
    {
      name: 'a list of other audiences',
      token: mint({ ...claimed, aud: ['b'] }),
      policy: strict,
      reason: 'claim_mismatch',
    },
    {
      name: 'a list with the audience',
      token: mint({ ...claimed, aud: ['b', 'api.example.com'] }),
      policy: { audience: ['api.example.com'] },
      reason: 'ok',
    },
    {
      name: 'the second of two issuers',
      token: mint(claimed),
      policy: { issuer: ['b', 'acme.approov.io'] },
      reason: 'ok',
    },
    {
      name: 'the host as audience',
      token: mint(claimed),
      policy: { audience: 'host' },
      request: { host: 'api.example.com:8443' },
      reason: 'ok',
    },
    {
      name: 'another host as audience',
      token: mint(claimed),
      policy: { audience: 'host' },
      request: { host: 'www.example.com' },
      reason: 'claim_mismatch',
    },
    {
      name: 'no host as audience',
      token: mint(claimed),
      policy: { audience: 'host' },
      request: { host: '' },
      reason: 'claim_mismatch',
    },
    {
      name: 'no host as audience and an empty audience',
      token: mint({ ...GOOD, aud: '' }),
      policy: { audience: 'host' },
      request: { host: '' },
      reason: 'claim_mismatch',
    },
    { name: 'claims that are not checked', token: mint({ ...GOOD, iss: '', aud: 5 }), reason: 'ok' },
    {
      name: 'another issuer and another binding',
      token: mint({ ...GOOD, pay: 'x' }),
      policy: strict,
      reason: 'claim_mismatch',
    },
    { name: 'another issuer and no pay', token: good, policy: strict, reason: 'claim_mismatch' },
  ],
  '7, the binding': [
    { name: 'no pay, if present', token: good, policy: bound, reason: 'ok' },
    {
      name: 'no pay, required',
      token: good,
      policy: required,
      request: { headers: { authorization: BEARER } },
      reason: 'missing_pay_claim',
    },
    { name: 'no pay, required, and no header', token: good, policy: required, reason: 'missing_pay_claim' },
    {
      name: 'pay that is not a string and no header',
      token: mint({ ...GOOD, pay: 1 }),
      policy: bound,
      reason: 'binding_mismatch',
    },
    {
      name: 'an empty pay and no header',
      token: mint({ ...GOOD, pay: '' }),
      policy: bound,
      reason: 'binding_mismatch',
    },
    {
      name: 'no header',
      token: mint({ ...GOOD, pay: 'x' }),
      policy: bound,
      reason: 'missing_binding_header',
    },
    {
      name: 'a blank header',
      token: mint({ ...GOOD, pay: 'x' }),
      policy: bound,
      request: { headers: { authorization: ' ' } },
      reason: 'missing_binding_header',
    },
    {
      name: 'a repeated header',
      token: mint({ ...GOOD, pay: payClaim([BEARER]) }),
      policy: bound,
      request: { headers: { authorization: [BEARER, BEARER] } },
      reason: 'missing_binding_header',
    },
    {
      name: 'another header',
      token: mint({ ...GOOD, pay: payClaim([BEARER]) }),
      policy: bound,
      request: { headers: { authorization: 'Bearer abd' } },
      reason: 'binding_mismatch',
    },
    {
      name: 'the header',
      token: mint({ ...GOOD, pay: payClaim([BEARER]) }),
      policy: bound,
      request: { headers: { authorization: BEARER } },
      reason: 'ok',
    },
    {
      name: 'two headers in order',
      token: mint({ ...GOOD, pay: payClaim(['a', 'b']) }),
      policy: { binding: { headers: ['x', 'y'], when: 'required' } },
      request: { headers: { y: 'b', x: 'a' } },
      reason: 'ok',
    },
    {
      name: 'two headers in the other order',
      token: mint({ ...GOOD, pay: payClaim(['a', 'b']) }),
      policy: { binding: { headers: ['y', 'x'], when: 'required' } },
      request: { headers: { y: 'b', x: 'a' } },
      reason: 'binding_mismatch',
    },
    { name: 'a pay that is not checked', token: mint({ ...GOOD, pay: 'x' }), reason: 'ok' },
  ],
  '8, message signature': [
    { name: 'no signature', token: SIGNED_TOKEN, policy: signed, reason: 'missing_message_signature' },
    {
      name: 'no signature, and a bound header that is absent',
      token: mint({ ...GOOD, ...CLAIMS, pay: 'x' }),
      policy: { ...signed, ...bound },
      reason: 'missing_binding_header',
    },
    {
      name: 'no signature, of a token that requires none',
      token: good,
      policy: signed,
      reason: 'ok',
    },
    {
      name: 'no signature, of a token that requires none, where it is required',
      token: good,
      policy: { messageSignature: signaturePolicy({ install: 'required' }) },
      reason: 'missing_message_signature',
    },
    {
      name: 'the signature of another path',
      policy: signed,
      request: { path: '/other', headers: signHeaders() },
      reason: 'invalid_message_signature',
    },
    {
      name: 'the signature of another token',
      policy: signed,
      request: { headers: { ...signHeaders(), 'approov-token': mint({ ...GOOD, ...CLAIMS, n: 1 }) } },
      reason: 'invalid_message_signature',
    },
    {
      name: 'an old signature of another path',
      policy: signed,
      request: { path: '/other', headers: signHeaders({ created: NOW - 400 }) },
      reason: 'invalid_message_signature',
    },
    {
      name: 'an old signature',
      policy: signed,
      request: { headers: signHeaders({ created: NOW - 400 }) },
      reason: 'message_signature_expired',
    },
    {
      name: 'a signature that does not cover a required header',
      policy: { messageSignature: signaturePolicy({ requiredComponents: ['@method', 'x-device'] }) },
      request: { headers: signHeaders() },
      reason: 'missing_signed_components',
    },
    {
      name: 'a body that has another digest',
      policy: signed,
      request: { headers: signHeaders({ headers: { 'content-digest': EMPTY_DIGEST } }), body: Buffer.of(1) },
      reason: 'content_digest_mismatch',
    },
    {
      name: 'a part of a body',
      policy: signed,
      request: {
        headers: {
          ...signHeaders({ headers: { 'content-digest': EMPTY_DIGEST } }),
          'x-envoy-auth-partial-body': 'true',
        },
      },
      reason: 'content_digest_mismatch',
    },
    {
      name: 'an account signature that is missing beside that of the installation',
      policy: { messageSignature: signaturePolicy({ account: 'when-mskid' }) },
      request: { headers: signHeaders() },
      reason: 'missing_message_signature',
    },
  ],
  '9, all passed': [
    { name: 'a signed request', policy: signed, request: { headers: signHeaders() }, reason: 'ok' },
    {
      name: 'a request with both signatures, and its body',
      policy: { messageSignature: signaturePolicy({ account: 'required' }) },
      request: {
        method: 'POST',
        path: '/a?b=c',
        headers: {
          ...signHeaders({
            method: 'POST',
            path: '/a?b=c',
            labels: ['install', 'account'],
            headers: { 'content-digest': EMPTY_DIGEST },
          }),
          'x-envoy-auth-partial-body': 'false',
        },
      },
      reason: 'ok',
    },
    {
      name: 'a request for the external host, which a proxy replaced',
      policy: { messageSignature: signaturePolicy({ externalHost: 'shop.example.com' }) },
      request: { host: '10.0.0.1', headers: signHeaders({ host: 'shop.example.com' }) },
      reason: 'ok',
    },
    { name: 'a valid token', token: good, reason: 'ok' },
    {
      name: 'a valid token under the strictest policy',
      token: mint({ ...claimed, pay: payClaim([BEARER]) }),
      policy: strict,
      request: { headers: { authorization: BEARER } },
      reason: 'ok',
    },
    { name: 'a valid token with a fractional exp', token: mint({ exp: NOW + 0.25 }), reason: 'ok' },
  ],
};
