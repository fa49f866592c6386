/** Tests the decisions about the tokens that Approov published. */
import { describe, expect, it } from 'vitest';
import { decide } from '../../src/authz/decide.ts';
import { choosePolicies } from '../../src/authz/policy.ts';
import type { Reason } from '../../src/authz/reason.ts';
import {
  checkRequest,
  checkVerifier,
  keysetOf,
  NOW,
  policy,
  policyTable,
  symmetricKey,
  verify,
} from '../support/check.ts';
import { PUBLISHED_TOKENS, type PublishedToken } from '../support/published.ts';

/** Our reason for each outcome of the vectors, with binding under `if-present`. */
const REASON_BY_EXPECTATION: Readonly<Record<string, Reason>> = {
  accept: 'ok',
  'reject:missing-token': 'missing_approov_token',
  'reject:malformed': 'invalid_token_format',
  'reject:signature': 'invalid_token_signature',
  'reject:expired': 'token_expired',
  'reject:missing-exp': 'missing_expiry',
  'reject:bad-exp': 'missing_expiry',
  'reject:missing-binding-header': 'missing_binding_header',
  'reject:binding-mismatch': 'binding_mismatch',
  'policy:missing-pay': 'ok',
  'policy:strict-base64url': 'invalid_token_format',
};

/** Their tokens are valid; the message signature is not, which is not checked here. */
const LEFT_OUT = [
  'msg: method changed',
  'msg: path changed',
  'msg: expired signature',
  'msg: signed by another key',
  'msg: ipk present, no signature headers',
];

const decided = PUBLISHED_TOKENS.filter(({ name }) => !LEFT_OUT.includes(name));

/** A word of letters is an SDK status, an outcome that the vectors do not have. */
function expectedReason({ token, expect: expectation }: PublishedToken): Reason | undefined {
  const isWord = /^[A-Za-z_]+$/.test(token ?? '');
  return isWord ? 'missing_approov_token' : REASON_BY_EXPECTATION[expectation];
}

function reasonFor(vector: PublishedToken, when: 'if-present' | 'required'): Reason {
  const headers = Object.entries({ ...vector.headers, 'Approov-Token': vector.token });
  const present = headers.filter((each): each is [string, string] => each[1] !== null);
  const request = checkRequest({
    headers: Object.fromEntries(present.map(([name, value]) => [name.toLowerCase(), value])),
  });
  const bound = vector.binding_headers.map((name) => name.toLowerCase());
  const checked = policy(bound.length === 0 ? {} : { binding: { headers: bound, when } });
  const keys = keysetOf(symmetricKey({ secret: vector.secret_base64 }));
  const choice = choosePolicies(request, policyTable(checked));
  return decide(
    request,
    choice,
    checkVerifier((token) => verify(token, keys)),
    NOW,
  ).reason;
}

describe('the published tokens', () => {
  it.each(decided.map((vector, index) => ({ ...vector, index })))(
    'number $index, $name: $expect',
    (vector) => {
      expect(reasonFor(vector, 'if-present')).toBe(expectedReason(vector));
    },
  );

  it('are 40, of which the five about message signatures are left out', () => {
    expect([PUBLISHED_TOKENS.length, decided.length]).toEqual([40, 35]);
    const others = PUBLISHED_TOKENS.filter(({ name }) => LEFT_OUT.includes(name)).map(
      (vector) => vector.expect,
    );
    expect(others.sort()).toEqual([
      'reject:message-signature',
      'reject:message-signature',
      'reject:message-signature',
      'reject:missing-signature',
      'reject:signature-expired',
    ]);
  });

  it('about message signatures have valid tokens', () => {
    const outcomes = PUBLISHED_TOKENS.filter(({ name }) => LEFT_OUT.includes(name)).map((vector) =>
      reasonFor(vector, 'if-present'),
    );
    expect(outcomes).toEqual(['ok', 'ok', 'ok', 'ok', 'ok']);
  });

  it('cover each outcome', () => {
    expect([...new Set(decided.map((vector) => vector.expect))].sort()).toEqual(
      Object.keys(REASON_BY_EXPECTATION).sort(),
    );
  });
});

describe('the published tokens under a policy that requires binding', () => {
  const bound = decided.filter((vector) => vector.binding_headers.length > 0);

  it.each(bound.map((vector, index) => ({ ...vector, index })))('number $index, $name: $expect', (vector) => {
    const expected = expectedReason(vector);
    expect(reasonFor(vector, 'required')).toBe(
      vector.expect === 'policy:missing-pay' ? 'missing_pay_claim' : expected,
    );
  });

  it('include two without pay', () => {
    expect(bound.filter((vector) => vector.expect === 'policy:missing-pay')).toHaveLength(2);
  });
});
