/** Tests `enforcePercent`: which checks are enforced, that raising it keeps them, and that it is a share of devices. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { placeOf } from '../../../src/approov/text-place.ts';
import { rejectToken } from '../../../src/approov/token.ts';
import { type Decision, decide } from '../../../src/authz/decide.ts';
import { modeAt, modesInEffect } from '../../../src/authz/enforced-share.ts';
import { choosePolicies, type Policy } from '../../../src/authz/policy.ts';
import {
  checkRequest,
  checkVerifier,
  NOW,
  policy,
  policyTable,
  type RequestFields,
  route,
} from '../../support/check.ts';
import { mintToken, OTHER_SECRET_BYTES } from '../../support/token.ts';

const share = (enforcePercent: number, fields: Partial<Policy> = {}): Policy =>
  policy({ enforcePercent, ...fields });

function decideOn(request: RequestFields, by: Policy, others: readonly Policy[] = []): Decision {
  const checked = checkRequest(request);
  const choice = choosePolicies(
    checked,
    policyTable(
      by,
      others.map((other) => route(other)),
    ),
  );
  return decide(checked, choice, checkVerifier(), NOW);
}

const withToken = (token: string): RequestFields => ({ headers: { 'approov-token': token } });
const forged = (did: unknown): RequestFields =>
  withToken(mintToken({ exp: NOW + 300, did }, { secret: OTHER_SECRET_BYTES }));
const good = (did: string): RequestFields => withToken(mintToken({ exp: NOW + 300, did }));

/** A device at 0.0472. */
const DID = 'ExampleApproovTokenDID==';
const PERCENT_OF_DID = 100 * placeOf(DID);
const JUST_OUTSIDE = Math.floor(PERCENT_OF_DID);
const JUST_INSIDE = Math.ceil(PERCENT_OF_DID);

describe('the share of devices that is enforced', () => {
  it('decides by the `did` of a token that nobody verified', () => {
    expect(decideOn(forged(DID), share(JUST_INSIDE))).toMatchObject({ mode: 'enforce', action: 'deny' });
    expect(decideOn(forged(DID), share(JUST_OUTSIDE))).toMatchObject({
      mode: 'observe',
      action: 'allow',
      verdict: 'unverified',
      reason: 'invalid_token_signature',
      policy: { name: 'default', mode: 'observe' },
    });
  });

  it('shows the same mode for the verified checks of the device', () => {
    const decided = [JUST_INSIDE, JUST_OUTSIDE].map((percent) => decideOn(good(DID), share(percent)));
    expect(decided).toMatchObject([
      { mode: 'enforce', action: 'allow', verdict: 'verified' },
      { mode: 'observe', action: 'allow', verdict: 'verified' },
    ]);
  });

  it.each<[what: string, request: RequestFields, device: string]>([
    ['no token', {}, '192.0.2.1'],
    ['a token that cannot be read', withToken('not a token'), '192.0.2.1'],
    ['two tokens', withToken('a.b.c,d.e.f'), '192.0.2.1'],
    ['a token without `did`', forged(undefined), '192.0.2.1'],
    ['a `did` that is empty', forged(''), '192.0.2.1'],
    ['a `did` that is not a string', forged(7), '192.0.2.1'],
    [
      'an address that Envoy found behind a proxy',
      { headers: { 'x-envoy-external-address': ' 203.0.113.5 ' } },
      '203.0.113.5',
    ],
    ['an address of no characters', { headers: { 'x-envoy-external-address': ' ' } }, '192.0.2.1'],
  ])('decides by the address of the client for %s', (_, request, device) => {
    const percent = 100 * placeOf(device);
    const decided = [Math.ceil(percent), Math.floor(percent)].map(
      (each) => decideOn(request, share(each)).mode,
    );
    expect(decided).toEqual(['enforce', 'observe']);
  });

  it('has first a client without `did` and address, so that it is denied at any share but 0', () => {
    const modes = [0, 0.01, 100].map((percent) => decideOn({ sourceAddress: '' }, share(percent)).mode);
    expect(modes).toEqual(['observe', 'enforce', 'enforce']);
  });

  it('is nobody at 0 and everybody at 100', () => {
    const deviceModes = (percent: number) =>
      new Set(Array.from({ length: 500 }, (_, index) => decideOn(forged(`d${index}`), share(percent)).mode));
    expect([...deviceModes(0)]).toEqual(['observe']);
    expect([...deviceModes(100)]).toEqual(['enforce']);
  });

  it('answers an internal error of an observed device as observe does', () => {
    const faulty = checkVerifier(() => rejectToken('internal_error', 'key'));
    const checked = checkRequest(good(DID));
    const actions = [JUST_OUTSIDE, JUST_INSIDE].map((percent) => {
      const choice = choosePolicies(checked, policyTable(share(percent)));
      return decide(checked, choice, faulty, NOW).action;
    });
    expect(actions).toEqual(['allow', 'deny']);
  });

  it('leaves the strictest outcome of several policies to decide an ambiguous path', () => {
    const ambiguous = { ...forged(DID), path: '/a;b' };
    const limit = policy({ name: 'limit', mode: 'limit' });
    const decided = [JUST_OUTSIDE, JUST_INSIDE].map((percent) =>
      decideOn(ambiguous, share(percent), [limit]),
    );
    expect(decided).toMatchObject([
      { action: 'limit', policy: { name: 'limit' } },
      { action: 'deny', policy: { name: 'default' }, mode: 'enforce' },
    ]);
  });

  it('uses one policy object for all observed checks, by which responses are encoded once', () => {
    const shared = share(JUST_OUTSIDE);
    const [one, other] = [forged(DID), good(DID)].map((request) => decideOn(request, shared).policy);
    expect(one).toBe(other);
    expect(one).not.toBe(shared);
  });

  it('is among the facts of a decision', () => {
    const facts = (request: RequestFields, by: Policy) => decideOn(request, by).facts.share;
    expect(facts(forged(DID), share(JUST_OUTSIDE))).toEqual({
      enforcePercent: JUST_OUTSIDE,
      by: 'did',
      isEnforced: false,
    });
    expect(facts({ sourceAddress: '' }, share(1))).toEqual({
      enforcePercent: 1,
      by: undefined,
      isEnforced: true,
    });
    expect(facts(forged(DID), policy())).toBeUndefined();
  });
});

const percent = fc.integer({ min: 0, max: 10_000 }).map((hundredths) => hundredths / 100);

describe('raising the share', () => {
  it('never un-enforces a device, whatever it sends', () => {
    const request = fc.oneof(
      fc.string().map(forged),
      fc.string({ minLength: 1 }).map(good),
      fc.ipV4().map((sourceAddress): RequestFields => ({ sourceAddress })),
      fc.ipV6().map((address): RequestFields => ({ headers: { 'x-envoy-external-address': address } })),
    );
    fc.assert(
      fc.property(request, percent, percent, (sent, one, other) => {
        const [low, high] = [Math.min(one, other), Math.max(one, other)];
        const [before, after] = [low, high].map((each) => decideOn(sent, share(each)).mode);
        expect(before === 'enforce' && after !== 'enforce').toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  const places = Array.from({ length: 100_000 }, (_, device) => placeOf(base64(`device ${device}`)));

  it.each([0.5, 1, 10, 33.33, 50, 99])('enforces %d % of 100,000 devices, within 0.3 points', (each) => {
    const enforced = places.filter((place) => modeAt(share(each), place) === 'enforce').length;
    expect(Math.abs(enforced / 1000 - each)).toBeLessThan(0.3);
  });
});

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

describe('the modes that can be in effect', () => {
  it.each([
    [policy(), ['enforce']],
    [policy({ mode: 'off' }), ['off']],
    [share(100), ['enforce']],
    [share(0), ['observe']],
    [share(10), ['enforce', 'observe']],
  ])('are those of some device: %#', (each, modes) => {
    expect(modesInEffect(each)).toEqual(modes);
  });
});
