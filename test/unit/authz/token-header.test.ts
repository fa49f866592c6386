import { describe, expect, it } from 'vitest';
import { CompactToken } from '../../../src/approov/compact-token.ts';
import { SDK_STATUSES } from '../../../src/approov/sdk-status.ts';
import { readTokenHeader } from '../../../src/authz/token-header.ts';
import { checkRequest, policy } from '../../support/check.ts';

const MISSING = { kind: 'missing_approov_token', sdkStatus: undefined };
const DUPLICATE = { kind: 'duplicate_approov_token' };
const token = (text: string) => ({ kind: 'token', token: new CompactToken(text) });

describe('a token header without a configured prefix', () => {
  it.each([
    { name: 'no value', values: [], expected: MISSING },
    { name: 'an empty value', values: [''], expected: MISSING },
    { name: 'a blank value', values: [' \t '], expected: MISSING },
    { name: 'a token', values: ['a.b.c'], expected: token('a.b.c') },
    { name: 'a token with blanks around it', values: ['\t a.b.c '], expected: token('a.b.c') },
    { name: 'a token with a space inside', values: ['a.b c'], expected: token('a.b c') },
    {
      name: 'an unconfigured prefix',
      values: ['Bearer a.b.c'],
      expected: token('Bearer a.b.c'),
    },
    { name: 'two values', values: ['a.b.c', 'a.b.c'], expected: DUPLICATE },
    { name: 'two values, one empty', values: ['', 'a.b.c'], expected: DUPLICATE },
    { name: 'two values, both empty', values: ['', ''], expected: DUPLICATE },
    { name: 'two tokens that Envoy joined', values: ['a.b.c,a.b.c'], expected: DUPLICATE },
    { name: 'two tokens joined with a blank', values: ['a.b.c, a.b.c'], expected: DUPLICATE },
    { name: 'a comma at the end', values: ['a.b.c,'], expected: DUPLICATE },
    { name: 'a comma alone', values: [','], expected: DUPLICATE },
    { name: 'a status word and a token joined', values: ['rejected,a.b.c'], expected: DUPLICATE },
    {
      name: 'the status word of a newer SDK',
      values: ['Not_Attested'],
      expected: { kind: 'missing_approov_token', sdkStatus: 'other' },
    },
    {
      name: 'letters and a digit, so no status word',
      values: ['status2'],
      expected: token('status2'),
    },
    {
      name: 'a byte that is not ASCII, as one character',
      values: [Buffer.from([0x61, 0xff])],
      expected: token('a\u00ff'),
    },
  ])('that has $name is read as $expected.kind', ({ values, expected }) => {
    const request = checkRequest({ headers: { 'approov-token': values } });
    expect(readTokenHeader(request, policy())).toEqual(expected);
  });

  it.each(SDK_STATUSES)('that has the SDK status word %s in any case has no token', (word) => {
    for (const text of [word, word.toUpperCase(), ` ${word}\t`]) {
      const request = checkRequest({ headers: { 'approov-token': text } });
      expect(readTokenHeader(request, policy())).toEqual({ kind: 'missing_approov_token', sdkStatus: word });
    }
  });

  it('is the policy’s and no other', () => {
    const request = checkRequest({ headers: { 'approov-token': 'a.b.c', 'x-token': 'd.e.f' } });
    expect(readTokenHeader(request, policy({ tokenHeader: 'x-token' }))).toEqual(token('d.e.f'));
    expect(readTokenHeader(request, policy({ tokenHeader: 'authorization' }))).toEqual(MISSING);
  });
});

describe('a token header with a configured prefix', () => {
  it.each([
    { name: 'the prefix and a token', value: 'Bearer a.b.c', expected: token('a.b.c') },
    { name: 'the prefix in another case', value: 'bEARER a.b.c', expected: token('a.b.c') },
    { name: 'more blanks than the prefix has', value: ' Bearer  \ta.b.c ', expected: token('a.b.c') },
    { name: 'a token without the prefix', value: 'a.b.c', expected: token('a.b.c') },
    {
      name: 'the prefix twice, of which one is stripped',
      value: 'Bearer Bearer a.b.c',
      expected: token('Bearer a.b.c'),
    },
    { name: 'the prefix without its space', value: 'Bearera.b.c', expected: token('Bearera.b.c') },
    { name: 'the prefix alone', value: 'Bearer ', expected: MISSING },
    { name: 'the prefix alone, trimmed by a proxy', value: 'Bearer', expected: MISSING },
    { name: 'an empty value', value: '', expected: MISSING },
    { name: 'another prefix', value: 'Basic abc', expected: token('Basic abc') },
    {
      name: 'the prefix and a status word',
      value: 'Bearer NO_NETWORK',
      expected: { kind: 'missing_approov_token', sdkStatus: 'no_network' },
    },
    {
      name: 'a status word without the prefix',
      value: 'no_network',
      expected: { kind: 'missing_approov_token', sdkStatus: 'no_network' },
    },
    { name: 'the prefix and two tokens', value: 'Bearer a.b.c,Bearer a.b.c', expected: DUPLICATE },
  ])('that has $name is read as $expected.kind', ({ value, expected }) => {
    const request = checkRequest({ headers: { authorization: value } });
    const reading = policy({ tokenHeader: 'authorization', tokenPrefix: 'bearer ' });
    expect(readTokenHeader(request, reading)).toEqual(expected);
  });

  it('may have a prefix without a space', () => {
    const request = checkRequest({ headers: { 'approov-token': 'JWT:a.b.c' } });
    expect(readTokenHeader(request, policy({ tokenPrefix: 'jwt:' }))).toEqual(token('a.b.c'));
  });
});
