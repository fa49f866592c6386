import { describe, expect, it } from 'vitest';
import { FORWARDABLE_CLAIMS } from '../../../src/authz/policy.ts';
import {
  ACTION_HEADER,
  claimHeader,
  isResultHeader,
  REASON_HEADER,
  RESULT_HEADER_ALIASES,
  RESULT_HEADERS,
  VERDICT_HEADER,
} from '../../../src/authz/result-header.ts';

describe('the result headers', () => {
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

  it('have these names', () => {
    expect([VERDICT_HEADER, ACTION_HEADER, REASON_HEADER]).toEqual([
      'x-approov-verdict',
      'x-approov-action',
      'x-approov-reason',
    ]);
    expect(FORWARDABLE_CLAIMS.map(claimHeader)).toEqual(RESULT_HEADERS.slice(3));
  });

  it('have every spelling with an underscore as an alias', () => {
    const spellings = RESULT_HEADERS.flatMap((name) =>
      ['-', '_'].flatMap((first) =>
        ['-', '_'].map((second) => name.replace('-', first).replace(/-(?=[a-z]+$)/, second)),
      ),
    );
    const aliases = [...new Set(spellings)].filter((name) => !RESULT_HEADERS.includes(name));
    expect([...RESULT_HEADER_ALIASES].sort()).toEqual(aliases.sort());
    expect(RESULT_HEADER_ALIASES).toHaveLength(27);
    expect(RESULT_HEADER_ALIASES.every(isResultHeader) && RESULT_HEADERS.every(isResultHeader)).toBe(true);
  });

  it.each(['approov-token', 'x-approov', 'x_approov_verdicts', 'x__approov_verdict', 'x.approov.verdict'])(
    'are not taken for %s',
    (name) => expect(isResultHeader(name)).toBe(false),
  );
});
