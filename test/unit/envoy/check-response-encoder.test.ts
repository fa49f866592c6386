/** Tests the encoding of CheckResponse by decoding it with the stock protobuf library. */
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import { CompactToken } from '../../../src/approov/compact-token.ts';
import type { VerifiedToken } from '../../../src/approov/token.ts';
import type { Decision } from '../../../src/authz/decide.ts';
import type { DeniedResponse } from '../../../src/authz/denied-response.ts';
import { Facts } from '../../../src/authz/facts.ts';
import type { ForwardableClaim, Policy } from '../../../src/authz/policy.ts';
import { REASON_NAMES, REASONS, type Reason } from '../../../src/authz/reason.ts';
import { RESULT_HEADER_ALIASES } from '../../../src/authz/result-header.ts';
import type { Action, Mode } from '../../../src/authz/verdict.ts';
import { encodeCheckResponse } from '../../../src/envoy/check-response-encoder.ts';
import { DEFAULT_POLICY } from '../../support/default-policy.ts';

const root = new protobuf.Root();
root.resolvePath = (_origin, target) => fileURLToPath(new URL(`../../../proto/${target}`, import.meta.url));
root.loadSync('envoy/service/auth/v3/external_auth.proto', { keepCase: true });
const CheckResponse = root.lookupType('envoy.service.auth.v3.CheckResponse');

const DENIED: DeniedResponse = {
  status: 401,
  body: '{}',
  contentType: 'application/json',
  exposeReason: false,
  headers: {},
};
const CLAIMS = ['did', 'ip', 'arc', 'iss', 'aud', 'sub'] as const satisfies ForwardableClaim[];
const NINE_NAMES = ['verdict', 'action', 'reason', ...CLAIMS].map((name) => `x-approov-${name}`);

/** Few enough that each is used for several outcomes. */
const denied: fc.Arbitrary<DeniedResponse> = fc.constantFrom(
  ...fc.sample(
    fc.record({
      status: fc.constantFrom(400, 401, 403, 429, 503),
      body: fc.string({ unit: 'binary', maxLength: 300 }),
      contentType: fc.constantFrom('application/json', 'text/plain; charset=utf-8'),
      exposeReason: fc.boolean(),
      headers: fc.dictionary(fc.constantFrom('retry-after', 'vary'), fc.constantFrom('30', 'Origin, Accept')),
    }),
    20,
  ),
  DENIED,
);

const policy: fc.Arbitrary<Policy> = fc
  .record({
    mode: fc.constantFrom('off', 'observe', 'limit', 'enforce'),
    tokenHeader: fc.constantFrom('approov-token', 'authorization'),
    forwardToken: fc.boolean(),
    forwardClaims: fc.subarray([...CLAIMS]),
    denied: fc.option(denied, { nil: undefined }),
  })
  .map((fields) => ({
    ...DEFAULT_POLICY,
    ...fields,
    // A configuration has one policy of a name, and responses may be cached by it.
    name: JSON.stringify(fields),
  }));

const claim = fc.oneof(
  fc.string({ minLength: 1, maxLength: 12 }).filter((text) => !text.includes(' ')),
  fc.constantFrom('', ' a', 'a b', 'a\r\nx: y', 'é', '\u0000', '~'.repeat(1024), '!'.repeat(1025)),
  fc.constantFrom(1, null, true, ['a'], { a: 1 }),
);

const verifiedToken = fc
  .record({
    keyId: fc.constantFrom('current', 'next'),
    claims: fc.dictionary(fc.constantFrom(...CLAIMS), claim),
  })
  .map((token) => token as unknown as VerifiedToken);

const decision: fc.Arbitrary<Decision> = fc
  .record({
    policy: fc.option(policy, { nil: undefined }),
    reason: fc.constantFrom(...REASON_NAMES),
    verifiedToken: fc.option(verifiedToken, { nil: undefined }),
  })
  .map((fields) => ({
    ...fields,
    mode: fields.policy?.mode ?? 'unknown',
    verdict: REASONS[fields.reason].verdict,
    action: actionOf(fields.policy?.mode, fields.reason),
    step: REASONS[fields.reason].step,
    facts: new Facts(),
    presentedToken: new CompactToken('the.presented.token'),
    messageSignature: undefined,
    sdkStatus: 'rejected',
    ambiguous: undefined,
  }));

function decisionOn(applied: Policy, did: string | undefined): Decision {
  return {
    policy: applied,
    mode: applied.mode,
    verdict: 'verified',
    action: 'allow',
    reason: 'ok',
    step: undefined,
    facts: new Facts(),
    presentedToken: undefined,
    verifiedToken: { keyId: 'current', claims: did === undefined ? {} : { did } } as unknown as VerifiedToken,
    messageSignature: undefined,
    sdkStatus: undefined,
    ambiguous: undefined,
  };
}

function actionOf(mode: Mode | undefined, reason: Reason): Action {
  if (REASONS[reason].verdict !== 'unverified' || mode === 'observe') return 'allow';
  return mode === 'limit' && reason !== 'internal_error' ? 'limit' : 'deny';
}

/** The contract, written down independently. */
function promised(made: Decision, forAll: DeniedResponse, aliases: readonly string[] = []): unknown {
  const { status, body, contentType, exposeReason, headers: further } = made.policy?.denied ?? forAll;
  const { action, reason, verdict } = made;
  const claims = made.verifiedToken?.claims ?? {};
  const dynamic_metadata = {
    approov_verdict: verdict,
    approov_action: action,
    approov_reason: reason,
    approov_policy: made.policy?.name ?? 'unknown',
    approov_mode: made.mode,
    ...(made.verifiedToken && { approov_key_id: made.verifiedToken.keyId }),
    ...(verdict === 'verified' && typeof claims['did'] === 'string' && claims['did'] !== ''
      ? { approov_did: claims['did'] }
      : {}),
  };
  if (action === 'deny') {
    const isFault = reason === 'internal_error';
    const sent = isFault ? 503 : status;
    return {
      code: isFault ? 14 : 16,
      denied: {
        status: sent,
        body,
        headers: {
          ...further,
          'content-type': contentType,
          'cache-control': 'no-store',
          ...(sent === 401 && { 'www-authenticate': 'Approov' }),
          ...(exposeReason && { 'x-approov-reason': reason }),
        },
      },
      dynamic_metadata,
    };
  }
  const forwarded = CLAIMS.filter((name) => {
    const isForwarded = verdict === 'verified' && made.policy?.forwardClaims.includes(name);
    return isForwarded && typeof claims[name] === 'string' && /^[!-~]{1,1024}$/.test(claims[name]);
  });
  const headers: Record<string, unknown> = {
    'x-approov-verdict': verdict,
    'x-approov-action': action,
    ...(reason !== 'ok' && { 'x-approov-reason': reason }),
    ...Object.fromEntries(forwarded.map((name) => [`x-approov-${name}`, claims[name]])),
  };
  const removed = NINE_NAMES.filter((name) => !Object.hasOwn(headers, name));
  if (made.policy?.forwardToken === false) removed.push(made.policy.tokenHeader);
  removed.push(...aliases);
  return { code: 0, ok: { headers, removed: removed.sort() }, dynamic_metadata };
}

interface StockHeader {
  readonly header: Readonly<Record<string, unknown>>;
  readonly append: unknown;
  readonly append_action: string;
}

/** As the stock library decodes it. Each header must say in both ways that it overwrites. */
function asStockReads(answer: Buffer): unknown {
  const message = CheckResponse.decode(answer);
  // The stock library drops unknown fields: an equal length means that there was none.
  expect(CheckResponse.encode(message).finish()).toHaveLength(answer.length);
  const response = CheckResponse.toObject(message, { enums: String });
  const headers = (options: readonly StockHeader[]): unknown =>
    Object.fromEntries(
      options.map(({ header, ...how }) => {
        expect(how).toEqual({ append: {}, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' });
        return [header['key'], header['value']];
      }),
    );
  const { status, ok_response: ok, denied_response: no, dynamic_metadata } = response;
  return {
    code: status.code,
    ...(ok && { ok: { headers: headers(ok.headers), removed: [...ok.headers_to_remove].sort() } }),
    ...(no && { denied: { status: no.status.code, body: no.body, headers: headers(no.headers) } }),
    dynamic_metadata: Object.fromEntries(
      Object.entries<Record<string, unknown>>(dynamic_metadata.fields).map(([key, value]) => [
        key,
        value['stringValue'],
      ]),
    ),
  };
}

describe('a CheckResponse', () => {
  test('has exactly the promised fields', () => {
    fc.assert(
      fc.property(decision, denied, (made, configured) => {
        expect(asStockReads(encodeCheckResponse(made, configured))).toEqual(promised(made, configured));
      }),
      { numRuns: 3000 },
    );
  });

  test('has the did of its own token, however many tokens one policy verifies', () => {
    const one: Policy = { ...DEFAULT_POLICY, name: 'one' };
    const dids = ['aaaa', 'bbbb', 'c', 'éé', 'dddd', '', undefined, 'aaaa'];
    const decisions = dids.map((did) => decisionOn(one, did));
    const responses = decisions.map((made) => encodeCheckResponse(made, DENIED));
    expect(responses.map(asStockReads)).toEqual(decisions.map((made) => promised(made, DENIED)));
  });

  test('removes each alias of our headers in an allowed request, whatever the outcome', () => {
    fc.assert(
      fc.property(decision, fc.subarray([...RESULT_HEADER_ALIASES]), (made, aliases) => {
        const answer = encodeCheckResponse(made, DENIED, new Set(aliases));
        expect(asStockReads(answer)).toEqual(promised(made, DENIED, aliases));
      }),
      { numRuns: 1000 },
    );
  });

  test('always has a status code, since Envoy allows a request without one', () => {
    fc.assert(
      fc.property(decision, (made) => {
        const answer = encodeCheckResponse(made, DENIED);
        expect(answer.subarray(0, 3).toString('hex')).toBe('0a0208');
        expect(answer[3] === 0).toBe(made.action !== 'deny');
      }),
    );
  });

  test('never contains the token', () => {
    fc.assert(
      fc.property(decision, denied, (made, configured) => {
        expect(encodeCheckResponse(made, configured).includes('the.presented.token')).toBe(false);
      }),
    );
  });
});
