import { describe, expect, it } from 'vitest';
import { actionFor, isStricter, MODES, UNKNOWN } from '../../../src/authz/verdict.ts';

describe('actionFor', () => {
  it.each([
    { mode: 'observe', verified: 'allow', unverified: 'allow', fault: 'allow', skipped: 'allow' },
    { mode: 'limit', verified: 'allow', unverified: 'limit', fault: 'deny', skipped: 'allow' },
    { mode: 'enforce', verified: 'allow', unverified: 'deny', fault: 'deny', skipped: 'allow' },
    // A check under `off` is never unverified; a bug that makes one fails closed.
    { mode: 'off', verified: 'allow', unverified: 'deny', fault: 'deny', skipped: 'allow' },
    { mode: 'unknown', verified: 'allow', unverified: 'deny', fault: 'deny', skipped: 'allow' },
  ] as const)('under $mode', ({ mode, verified, unverified, fault, skipped }) => {
    expect({
      verified: actionFor(mode, 'verified', false),
      unverified: actionFor(mode, 'unverified', false),
      fault: actionFor(mode, 'unverified', true),
      skipped: actionFor(mode, 'skipped', false),
    }).toEqual({ verified, unverified, fault, skipped });
  });

  it('covers the four configured modes, and unknown', () => {
    expect([...MODES, UNKNOWN]).toEqual(['off', 'observe', 'limit', 'enforce', 'unknown']);
  });
});

describe('isStricter', () => {
  it('orders deny, limit, allow unverified, skipped, verified', () => {
    const outcomes = [
      { action: 'deny', verdict: 'unverified' },
      { action: 'limit', verdict: 'unverified' },
      { action: 'allow', verdict: 'unverified' },
      { action: 'allow', verdict: 'skipped' },
      { action: 'allow', verdict: 'verified' },
    ] as const;
    outcomes.forEach((outcome, index) => {
      expect(outcomes.filter((than) => isStricter(outcome, than))).toEqual(outcomes.slice(index + 1));
    });
  });
});
