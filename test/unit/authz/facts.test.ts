import { describe, expect, it } from 'vitest';
import { decide } from '../../../src/authz/decide.ts';
import type { Facts } from '../../../src/authz/facts.ts';
import { choosePolicies, type Policy } from '../../../src/authz/policy.ts';
import {
  checkRequest,
  checkVerifier,
  KEYSET,
  NOW,
  policy,
  policyTable,
  type RequestFields,
} from '../../support/check.ts';
import { mintToken, OTHER_SECRET_BYTES } from '../../support/token.ts';

const CLAIMS = { exp: NOW + 300, nbf: NOW - 5, iss: 'acme', aud: 'api.example.com', pay: 'x' };
const CHECKED: Partial<Policy> = {
  clockToleranceSeconds: 9,
  issuer: ['acme'],
  audience: 'host',
  binding: { headers: ['authorization', 'x-session'], when: 'if-present' },
};

function factsOf(token: string, fields: Partial<Policy> = CHECKED, headers: RequestFields['headers'] = {}) {
  const request = checkRequest({ headers: { 'approov-token': token, ...headers } });
  const choice = choosePolicies(request, policyTable(policy(fields)));
  return decide(request, choice, checkVerifier(), NOW).facts;
}

function reached({ key, lifetime, claims, binding }: Facts): string[] {
  const facts = { key, lifetime, claims, binding };
  return Object.entries(facts).flatMap(([step, found]) => (found === undefined ? [] : [step]));
}

describe('the facts of a check', () => {
  it.each([
    { name: 'stops at a malformed token', token: 'a.b', steps: [] },
    {
      name: 'stops at the signature',
      token: mintToken(CLAIMS, { secret: OTHER_SECRET_BYTES }),
      steps: ['key'],
    },
    { name: 'stops at a payload that is not an object', token: mintToken([]), steps: ['key'] },
    { name: 'stops at the lifetime', token: mintToken({ ...CLAIMS, exp: 1 }), steps: ['key', 'lifetime'] },
    {
      name: 'stops at the claims',
      token: mintToken({ ...CLAIMS, iss: 'other' }),
      steps: ['key', 'lifetime', 'claims'],
    },
    {
      name: 'stops at the binding',
      token: mintToken(CLAIMS),
      steps: ['key', 'lifetime', 'claims', 'binding'],
    },
    { name: 'is skipped', token: mintToken(CLAIMS), fields: { mode: 'off' } as const, steps: [] },
    {
      name: 'passes a policy that expects no claims and no binding',
      token: mintToken(CLAIMS),
      fields: {},
      steps: ['key', 'lifetime'],
    },
  ])('that $name are those of the steps reached: $steps', ({ token, fields, steps }) => {
    expect(reached(factsOf(token, fields))).toEqual(steps);
  });

  it('are the values that each step compared', () => {
    const facts = factsOf(mintToken(CLAIMS, { header: { kid: 'k' } }), CHECKED, {
      authorization: ['a', 'b'],
      'x-session': ' ',
    });
    const { key, lifetime, claims, binding } = facts;
    expect({ key, lifetime, claims, binding }).toEqual({
      key: { alg: 'HS256', kid: 'k', keyIds: ['current'], algorithms: ['HS256'], keys: [] },
      lifetime: { exp: NOW + 300, nbf: NOW - 5, nowSeconds: NOW, clockToleranceSeconds: 9 },
      claims: {
        iss: 'acme',
        aud: 'api.example.com',
        expectedIssuer: ['acme'],
        expectedAudience: ['api.example.com', 'api.example.com'],
      },
      binding: {
        hasPay: true,
        headers: [
          { name: 'authorization', state: 'repeated' },
          { name: 'x-session', state: 'blank' },
        ],
      },
    });
  });

  it('name the keys tried and the algorithms that they allow', () => {
    const { key } = factsOf(mintToken(CLAIMS, { header: { alg: 'HS512', kid: 'k' } }));
    const { keys } = KEYSET;
    expect(key).toEqual({ alg: 'HS512', kid: 'k', keyIds: ['current'], algorithms: ['HS256'], keys });
  });

  it('name the bound headers that are absent or present', () => {
    const { binding } = factsOf(mintToken(CLAIMS), CHECKED, { authorization: 'a' });
    expect(binding?.headers.map(({ state }) => state)).toEqual(['present', 'absent']);
  });
});
