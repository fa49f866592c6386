/** Owns the proof that the headers we own are the contract's nine. */
import { describe, expect, it } from 'vitest';
import { FORWARDABLE_CLAIMS } from '../../src/authz/policy.ts';
import {
  ACTION_HEADER,
  claimHeader,
  REASON_HEADER,
  RESULT_HEADERS,
  VERDICT_HEADER,
} from '../../src/authz/result-header.ts';

describe('the headers that tell the outcome', () => {
  it('are nine', () => {
    expect(RESULT_HEADERS).toEqual([
      'x-approov-verdict',
      'x-approov-action',
      'x-approov-reason',
      'x-approov-did',
      'x-approov-ip',
      'x-approov-arc',
      'x-approov-iss',
      'x-approov-aud',
      'x-approov-sub',
    ]);
  });

  it('go by these names', () => {
    expect([VERDICT_HEADER, ACTION_HEADER, REASON_HEADER]).toEqual([
      'x-approov-verdict',
      'x-approov-action',
      'x-approov-reason',
    ]);
    expect(FORWARDABLE_CLAIMS.map(claimHeader)).toEqual(RESULT_HEADERS.slice(3));
  });
});
