/** Tests the warning about policies that check no message signatures, though apps could sign. */
import { expect, test } from 'vitest';
import { decide } from '../../../src/authz/decide.ts';
import { choosePolicies, type Policy } from '../../../src/authz/policy.ts';
import { createSigningHint } from '../../../src/telemetry/signing-hint.ts';
import { checkRequest, checkVerifier, NOW, policy, policyTable } from '../../support/check.ts';
import { SIGNED_TOKEN, signaturePolicy } from '../../support/signed-check.ts';
import { mintToken, OTHER_SECRET_BYTES } from '../../support/token.ts';

const UNASKED = policy({ name: 'unasked' });
const OTHER = policy({ name: 'other' });
const ASKED = policy({ name: 'asked', messageSignature: signaturePolicy() });
const PLAIN_TOKEN = mintToken({ exp: NOW + 300 });
const FORGED = mintToken({ exp: NOW + 300, ipk: 'a' }, { secret: OTHER_SECRET_BYTES });

test('comes once for each policy, when a verified token has ipk', () => {
  const warnings: unknown[] = [];
  const hint = createSigningHint({ warn: (fields, message) => warnings.push({ ...fields, message }) });
  const check = (by: Policy, token: string): void => {
    const request = checkRequest({ headers: { 'approov-token': token } });
    const decision = decide(request, choosePolicies(request, policyTable(by)), checkVerifier(), NOW);
    hint.checkDone({ request, decision, traceparent: undefined, nowSeconds: NOW, durationSeconds: 0 });
  };
  check(ASKED, SIGNED_TOKEN);
  check(UNASKED, PLAIN_TOKEN);
  check(UNASKED, FORGED);
  expect(warnings).toEqual([]);
  for (const by of [UNASKED, UNASKED, OTHER]) check(by, SIGNED_TOKEN);
  const message = 'tokens have ipk, so apps can sign; without messageSignature, a stolen token is accepted';
  expect(warnings).toEqual([
    { policy: 'unasked', message },
    { policy: 'other', message },
  ]);
});
