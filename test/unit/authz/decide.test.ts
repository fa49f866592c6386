import { describe, expect, it } from 'vitest';
import { rejectToken } from '../../../src/approov/token.ts';
import { type Decision, decide, decideUnreadable } from '../../../src/authz/decide.ts';
import { Facts } from '../../../src/authz/facts.ts';
import { choosePolicies, type PolicyTable } from '../../../src/authz/policy.ts';
import { REASON_NAMES, REASONS } from '../../../src/authz/reason.ts';
import type { VerifyToken } from '../../../src/authz/steps.ts';
import { actionFor, type Mode } from '../../../src/authz/verdict.ts';
import {
  checkRequest,
  checkVerifier,
  NOW,
  policy,
  policyTable,
  type RequestFields,
  route,
  verify,
} from '../../support/check.ts';
import { DECISION_CASES, type DecisionCase, KEYSET } from '../../support/decision-cases.ts';
import { MESSAGE_SIGNING_KEYS } from '../../support/signed-check.ts';
import { mintToken, OTHER_SECRET_BYTES } from '../../support/token.ts';

const verifyWithKeyset: VerifyToken = (token) => verify(token, KEYSET);
const GOOD = mintToken({ exp: NOW + 300, did: 'a device' });
const FORGED = mintToken({ exp: NOW + 300 }, { secret: OTHER_SECRET_BYTES });

function decideOn(
  request: RequestFields,
  table: PolicyTable = policyTable(policy()),
  by = verifyWithKeyset,
): Decision {
  return decideAt(request, table, by, NOW);
}

function decideAt(request: RequestFields, table: PolicyTable, by: VerifyToken, now: number): Decision {
  const checked = checkRequest(request);
  const verifier = checkVerifier(by, MESSAGE_SIGNING_KEYS, now);
  return decide(checked, choosePolicies(checked, table), verifier, now);
}

function decideCase({ token, request = {}, policy: fields = {} }: DecisionCase, mode: Mode): Decision {
  const headers = { ...(token === undefined ? {} : { 'approov-token': token }), ...request.headers };
  return decideOn({ ...request, headers }, policyTable(policy({ mode, ...fields })));
}

describe.each(Object.entries(DECISION_CASES))('step %s', (_, cases) => {
  it.each(cases)('gives $reason for $name', (each) => {
    expect(decideCase(each, 'enforce').reason).toBe(each.reason);
  });
});

describe('the step that stopped the check', () => {
  /** A malformed token may show at one of three steps. */
  const malformedAt: Readonly<Record<string, string>> = { 2: 'token', 3: 'key', 4: 'signature' };

  it.each(Object.entries(DECISION_CASES))('is the one that gave the reason: step %s', (group, cases) => {
    for (const each of cases) {
      const { reason, step } = decideCase(each, 'enforce');
      const expected =
        reason === 'invalid_token_format' ? malformedAt[group.charAt(0)] : REASONS[reason].step;
      expect({ name: each.name, step }).toEqual({ name: each.name, step: expected });
    }
  });

  it('is the key after a fault in verification', () => {
    const fault: VerifyToken = () => rejectToken('internal_error', 'key');
    const decision = decideOn({ headers: { 'approov-token': GOOD } }, modeTable('enforce'), fault);
    expect(decision).toMatchObject({ reason: 'internal_error', step: 'key' });
  });
});

const ALL_CASES = Object.values(DECISION_CASES).flat();

it('the cases cover every reason of the table but for faults and replays, which take a memory', () => {
  const given = new Set(ALL_CASES.map(({ reason }) => reason));
  expect(REASON_NAMES.filter((name) => !given.has(name))).toEqual(['message_replayed', 'internal_error']);
});

describe('the reason', () => {
  it('is the same under observe, limit and enforce; only the action depends on the mode', () => {
    for (const each of ALL_CASES) {
      for (const mode of ['observe', 'limit', 'enforce'] as const) {
        const { reason, verdict, action, mode: decided } = decideCase(each, mode);
        const expectedMode = each.reason === 'unknown_policy' ? 'unknown' : (each.policy?.mode ?? mode);
        expect({ name: each.name, reason, verdict, action, decided }).toEqual({
          name: each.name,
          reason: each.reason,
          verdict: REASONS[each.reason].verdict,
          action: actionFor(expectedMode, REASONS[each.reason].verdict, false),
          decided: expectedMode,
        });
      }
    }
  });
});

describe('the action', () => {
  const kinds = {
    verified: (mode: Mode) => decideOn({ headers: { 'approov-token': GOOD } }, modeTable(mode)),
    unverified: (mode: Mode) => decideOn({ headers: { 'approov-token': FORGED } }, modeTable(mode)),
    fault: (mode: Mode) =>
      decideOn({ headers: { 'approov-token': GOOD } }, modeTable(mode), () =>
        rejectToken('internal_error', 'key'),
      ),
    skipped: (mode: Mode) =>
      decideOn(
        { method: 'OPTIONS', headers: { origin: 'x', 'access-control-request-method': 'GET' } },
        modeTable(mode),
      ),
  };

  it.each([
    {
      mode: 'observe',
      expected: { verified: 'allow', unverified: 'allow', fault: 'allow', skipped: 'allow' },
    },
    { mode: 'limit', expected: { verified: 'allow', unverified: 'limit', fault: 'deny', skipped: 'allow' } },
    { mode: 'enforce', expected: { verified: 'allow', unverified: 'deny', fault: 'deny', skipped: 'allow' } },
    { mode: 'off', expected: { verified: 'allow', unverified: 'allow', fault: 'allow', skipped: 'allow' } },
  ] as const)('under $mode', ({ mode, expected }) => {
    const actions = Object.entries(kinds).map(([kind, run]) => [kind, run(mode).action]);
    expect(Object.fromEntries(actions)).toEqual(expected);
  });

  it('is deny if Envoy names a policy that is not configured, whatever the other policies are', () => {
    expect(
      decideOn({ policyName: 'unconfigured', headers: { 'approov-token': GOOD } }, modeTable('off')),
    ).toMatchObject({
      policy: undefined,
      mode: 'unknown',
      verdict: 'unverified',
      action: 'deny',
      reason: 'unknown_policy',
    });
  });

  it('is deny for a message that does not decode', () => {
    expect(decideUnreadable()).toEqual({
      policy: undefined,
      mode: 'unknown',
      verdict: 'unverified',
      action: 'deny',
      reason: 'internal_error',
      step: undefined,
      facts: new Facts(),
      presentedToken: undefined,
      verifiedToken: undefined,
      sdkStatus: undefined,
      ambiguous: undefined,
    });
  });

  it('after a fault comes with internal_error and unverified in every mode', () => {
    for (const mode of ['observe', 'limit', 'enforce'] as const)
      expect(kinds.fault(mode)).toMatchObject({ reason: 'internal_error', verdict: 'unverified', mode });
  });
});

describe('a decision', () => {
  it('has the policy, the token as sent, and the verified token', () => {
    const prefixed = policy({ tokenPrefix: 'bearer ' });
    const decision = decideOn({ headers: { 'approov-token': `Bearer ${GOOD}` } }, policyTable(prefixed));
    expect(decision).toMatchObject({ policy: prefixed, presentedToken: { text: GOOD } });
    expect(decision.verifiedToken).toMatchObject({ keyId: 'current', claims: { did: 'a device' } });
  });

  it('has the verified token if a later step failed', () => {
    const decision = decideOn({ headers: { 'approov-token': mintToken({ exp: 1 }) } });
    expect(decision).toMatchObject({ reason: 'token_expired', verifiedToken: { keyId: 'current' } });
  });

  it('has the key id if the signed payload is not a JSON object', () => {
    const decision = decideOn({ headers: { 'approov-token': mintToken([]) } });
    expect(decision).toMatchObject({ reason: 'invalid_token_format', verifiedToken: { keyId: 'current' } });
  });

  it('has no verified token if no key verified it', () => {
    const decision = decideOn({ headers: { 'approov-token': FORGED } });
    expect(decision).toMatchObject({ presentedToken: { text: FORGED }, verifiedToken: undefined });
  });

  it('does not verify a token if the policy is off or the token is repeated', () => {
    const never: VerifyToken = () => {
      throw new Error('verified');
    };
    const headers = { 'approov-token': GOOD };
    expect(decideOn({ headers }, modeTable('off'), never).reason).toBe('policy_off');
    expect(decideOn({ headers: { 'approov-token': [GOOD, GOOD] } }, modeTable('enforce'), never).reason).toBe(
      'duplicate_approov_token',
    );
  });

  it.each([
    { name: 'without a status', headers: {}, expected: undefined },
    {
      name: 'with a word in Approov-Status',
      headers: { 'approov-status': 'no_network' },
      expected: 'no_network',
    },
    {
      name: 'with a word in any case, trimmed',
      headers: { 'approov-status': ' REJECTED ' },
      expected: 'rejected',
    },
    { name: 'with an unknown word', headers: { 'approov-status': 'sunny' }, expected: 'other' },
    { name: 'with two words', headers: { 'approov-status': ['rejected', 'rejected'] }, expected: 'other' },
    { name: 'with an empty Approov-Status', headers: { 'approov-status': ' ' }, expected: undefined },
    {
      name: 'with a word in place of the token',
      headers: { 'approov-token': 'BAD_URL' },
      expected: 'bad_url',
    },
    {
      name: 'with a word and a token',
      headers: { 'approov-token': GOOD, 'approov-status': 'success' },
      expected: 'success',
    },
    {
      name: 'with a word in both headers',
      headers: { 'approov-token': 'BAD_URL', 'approov-status': 'rejected' },
      expected: 'rejected',
    },
  ])('has the SDK status of a request $name: $expected', ({ headers, expected }) => {
    expect(decideOn({ headers }).sdkStatus).toBe(expected);
  });

  it('has the SDK status even if the policy is unknown or off', () => {
    const request = { headers: { 'approov-status': 'rejected' } };
    expect(decideOn({ ...request, policyName: 'unconfigured' }).sdkStatus).toBe('rejected');
    expect(decideOn(request, modeTable('off')).sdkStatus).toBe('rejected');
  });
});

describe('an ambiguous path', () => {
  const inMode = (mode: Mode) => policy({ name: mode, mode });
  const off = inMode('off');
  const observe = inMode('observe');
  const limit = inMode('limit');
  const enforce = inMode('enforce');

  it.each([
    { name: 'a strict route wins over an open default', table: [off, enforce], expected: 'enforce deny' },
    { name: 'a strict default wins over an open route', table: [enforce, off], expected: 'enforce deny' },
    { name: 'deny wins over limit', table: [limit, observe, enforce], expected: 'enforce deny' },
    { name: 'limit wins over allow', table: [observe, off, limit], expected: 'limit limit' },
    { name: 'the default wins a tie', table: [observe, off], expected: 'observe allow' },
    {
      name: 'the first route wins a tie with a later one',
      table: [off, limit, { ...limit, name: 'later' }],
      expected: 'limit limit',
    },
    { name: 'the default alone, without routes', table: [limit], expected: 'limit limit' },
  ])('gets the strictest outcome: $name', ({ table, expected }) => {
    const [byDefault = off, ...routed] = table;
    const routes = routed.map((each) => route(each, { pathPrefix: '/nowhere' }));
    const decision = decideOn({ path: '/a/../b' }, policyTable(byDefault, routes));
    expect(`${decision.policy?.name} ${decision.action}`).toBe(expected);
  });

  it('gets the outcome of the first policy if a valid token satisfies all', () => {
    const table = policyTable(limit, [route(enforce), route(observe)]);
    const decision = decideOn({ path: '/a;b', headers: { 'approov-token': GOOD } }, table);
    expect(decision).toMatchObject({ action: 'allow', reason: 'ok', policy: { name: 'limit' } });
  });

  it('is skipped, not verified, if a policy that could apply is off', () => {
    const table = policyTable(limit, [route(enforce), route(off)]);
    const decision = decideOn({ path: '/a;b', headers: { 'approov-token': GOOD } }, table);
    expect(decision).toMatchObject({ action: 'allow', reason: 'policy_off', policy: { name: 'off' } });
  });

  it('does not escape a strict policy because Envoy named a weaker one', () => {
    const table = policyTable(enforce, [], [observe]);
    const decided = ['/search', '/search/%2e%2e;/orders'].map((path) =>
      decideOn({ path, policyName: 'observe' }, table),
    );
    expect(decided).toMatchObject([
      { action: 'allow', policy: { name: 'observe' }, ambiguous: undefined },
      { action: 'deny', policy: { name: 'enforce' }, ambiguous: 'path' },
    ]);
  });

  it('is denied if Envoy names a policy that is not configured', () => {
    expect(decideOn({ path: '/a;b', policyName: 'unconfigured' }, policyTable(off))).toMatchObject({
      action: 'deny',
      reason: 'unknown_policy',
      policy: undefined,
      mode: 'unknown',
    });
  });

  it('is denied by the one policy that requires more', () => {
    const bound = policy({ name: 'bound', binding: { headers: ['authorization'], when: 'required' } });
    const table = policyTable(policy(), [route(bound, { pathPrefix: '/pay' })]);
    const headers = { 'approov-token': GOOD };
    expect(decideOn({ path: '/%70ay', headers }, table)).toMatchObject({
      action: 'deny',
      reason: 'missing_pay_claim',
      policy: { name: 'bound' },
    });
    expect(decideOn({ path: '/free', headers }, table)).toMatchObject({ action: 'allow', reason: 'ok' });
  });
});

describe('an ambiguous host', () => {
  const table = policyTable(policy({ mode: 'observe' }), [
    route(policy({ name: 'strict' }), { host: 'api.example.com' }),
  ]);

  it.each(['u@api.example.com', 'api.example.com:abc', 'api.example.com,x', 'api\u2024example.com', ''])(
    'does not escape the routes that name a host: %j',
    (host) => {
      expect(decideOn({ host }, table)).toMatchObject({
        action: 'deny',
        policy: { name: 'strict' },
        ambiguous: 'host',
      });
    },
  );

  it('matches no audience, and selects no key that serves some hosts only', () => {
    const hosts: string[] = [];
    const audienceIsHost = policyTable(policy({ audience: 'host' }));
    const headers = { 'approov-token': mintToken({ exp: NOW + 300, aud: 'key.example.com' }) };
    const by: VerifyToken = (token, host) => {
      hosts.push(host);
      return verify(token, KEYSET);
    };
    expect(decideOn({ host: 'Key.example.com:443', headers }, audienceIsHost, by).reason).toBe('ok');
    expect(decideOn({ host: '\u212aey.example.com', headers }, audienceIsHost, by).reason).toBe(
      'claim_mismatch',
    );
    expect(hosts).toEqual(['key.example.com', '']);
  });
});

describe('the clock', () => {
  it('counts fractions of a second', () => {
    const request = { headers: { 'approov-token': mintToken({ exp: 100.5 }) } };
    const reasonAt = (now: number) => decideAt(request, modeTable('enforce'), verifyWithKeyset, now).reason;
    expect(reasonAt(100.49)).toBe('ok');
    expect(reasonAt(100.5)).toBe('token_expired');
  });

  it('applies to a cached token on every check', () => {
    const cached = verify(mintToken({ exp: NOW }), KEYSET);
    const decision = decideOn({ headers: { 'approov-token': 'x.y.z' } }, modeTable('enforce'), () => cached);
    expect(decision.reason).toBe('token_expired');
  });
});

function modeTable(mode: Mode): PolicyTable {
  return policyTable(policy({ mode }));
}
