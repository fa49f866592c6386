import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { checkBinding, payClaim } from '../../../src/approov/token-binding.ts';
import { verifiedToken } from '../../support/check.ts';

const BEARER = 'Bearer abc';
const PAY = hash(BEARER);

describe('checkBinding', () => {
  it.each([
    { name: 'the value that was bound', claims: { pay: PAY }, values: [[BEARER]], expected: undefined },
    {
      name: 'the value with white space around it',
      claims: { pay: PAY },
      values: [[`\t ${BEARER} \t`]],
      expected: undefined,
    },
    {
      name: 'pay without padding',
      claims: { pay: PAY.replace('=', '') },
      values: [[BEARER]],
      expected: undefined,
    },
    {
      name: 'pay in base64url',
      claims: { pay: Buffer.from(PAY, 'base64').toString('base64url') },
      values: [[BEARER]],
      expected: undefined,
    },
    {
      name: 'two values in order',
      claims: { pay: hash('Bearer abcsession') },
      values: [[BEARER], ['session']],
      expected: undefined,
    },
    {
      name: 'two values, each trimmed',
      claims: { pay: hash('Bearer abcsession') },
      values: [[` ${BEARER} `], ['\tsession']],
      expected: undefined,
    },
    {
      name: 'a value that Envoy joined, as it is',
      claims: { pay: hash('a,b') },
      values: [['a,b']],
      expected: undefined,
    },
    {
      name: 'white space inside, which counts',
      claims: { pay: hash('Bearer  abc') },
      values: [['Bearer  abc']],
      expected: undefined,
    },
    {
      name: 'two values in the other order',
      claims: { pay: hash('Bearer abcsession') },
      values: [['session'], [BEARER]],
      expected: 'binding_mismatch',
    },
    { name: 'another value', claims: { pay: PAY }, values: [['Bearer abd']], expected: 'binding_mismatch' },
    {
      name: 'the value in another case',
      claims: { pay: PAY },
      values: [['bearer abc']],
      expected: 'binding_mismatch',
    },
    {
      name: 'the value without its prefix',
      claims: { pay: PAY },
      values: [['abc']],
      expected: 'binding_mismatch',
    },
    {
      name: 'a hash cut short',
      claims: { pay: Buffer.from(PAY, 'base64').subarray(0, 31).toString('base64') },
      values: [[BEARER]],
      expected: 'binding_mismatch',
    },
    {
      name: 'a hash that is empty once decoded',
      claims: { pay: '==' },
      values: [[BEARER]],
      expected: 'binding_mismatch',
    },
    {
      name: 'the hash in hex',
      claims: { pay: createHash('sha256').update(BEARER).digest('hex') },
      values: [[BEARER]],
      expected: 'binding_mismatch',
    },
    { name: 'the value itself', claims: { pay: BEARER }, values: [[BEARER]], expected: 'binding_mismatch' },
    { name: 'an empty pay', claims: { pay: '' }, values: [[BEARER]], expected: 'binding_mismatch' },
    { name: 'an empty pay and no header', claims: { pay: '' }, values: [[]], expected: 'binding_mismatch' },
    { name: 'pay null', claims: { pay: null }, values: [[BEARER]], expected: 'binding_mismatch' },
    { name: 'pay as a number', claims: { pay: 5 }, values: [[BEARER]], expected: 'binding_mismatch' },
    { name: 'pay as a list', claims: { pay: [PAY] }, values: [[BEARER]], expected: 'binding_mismatch' },
    { name: 'pay null and no header', claims: { pay: null }, values: [[]], expected: 'binding_mismatch' },
    { name: 'no header', claims: { pay: PAY }, values: [[]], expected: 'missing_binding_header' },
    { name: 'an empty header', claims: { pay: PAY }, values: [['']], expected: 'missing_binding_header' },
    {
      name: 'an empty header beside the one that was bound, twice',
      claims: { pay: PAY },
      values: [['', ''], [BEARER]],
      expected: 'missing_binding_header',
    },
    {
      name: 'no header where an empty one was bound',
      claims: { pay: hash('') },
      values: [[]],
      expected: 'missing_binding_header',
    },
    {
      name: 'bytes moved from one bound header to the next, as Approov hashes them without a separator',
      claims: { pay: hash('Bearer abcsession') },
      values: [['Bearer abcses'], ['sion']],
      expected: undefined,
    },
    { name: 'a blank header', claims: { pay: PAY }, values: [[' \t ']], expected: 'missing_binding_header' },
    {
      name: 'a repeated header',
      claims: { pay: PAY },
      values: [[BEARER, BEARER]],
      expected: 'missing_binding_header',
    },
    {
      name: 'a repeated header, one blank',
      claims: { pay: PAY },
      values: [['', BEARER]],
      expected: 'missing_binding_header',
    },
    {
      name: 'the second of two headers missing',
      claims: { pay: PAY },
      values: [[BEARER], []],
      expected: 'missing_binding_header',
    },
    {
      name: 'the first of two headers missing',
      claims: { pay: PAY },
      values: [[], [BEARER]],
      expected: 'missing_binding_header',
    },
    {
      name: 'a header that cannot match, then one missing',
      claims: { pay: PAY },
      values: [['x'], []],
      expected: 'missing_binding_header',
    },
    {
      name: 'pay that is not base64 and no header',
      claims: { pay: '!' },
      values: [[]],
      expected: 'missing_binding_header',
    },
  ])('returns for $name: $expected, whether binding is required or not', ({ claims, values, expected }) => {
    const bytes = values.map((each) => each.map((value) => Buffer.from(value)));
    expect(checkBinding(verifiedToken(claims), bytes, 'if-present')).toBe(expected);
    expect(checkBinding(verifiedToken(claims), bytes, 'required')).toBe(expected);
  });

  it.each([
    { name: 'an empty header', bound: [''], values: [''] },
    { name: 'a blank header, which is an empty one', bound: [''], values: [' \t'] },
    { name: 'a header and an empty one', bound: [BEARER, ''], values: [BEARER, ''] },
    { name: 'an empty header and another', bound: ['', BEARER], values: ['', BEARER] },
  ])('accepts $name that the token was bound to, unless binding is required', ({ bound, values }) => {
    const token = verifiedToken({ pay: payClaim(bound) });
    const bytes = values.map((value) => [Buffer.from(value)]);
    expect(checkBinding(token, bytes, 'if-present')).toBeUndefined();
    expect(checkBinding(token, bytes, 'required')).toBe('missing_binding_header');
  });

  it('hashes the raw bytes, UTF-8 or not', () => {
    const bytes = Buffer.from([0x42, 0xff, 0xfe, 0x00, 0xc3]);
    expect(checkBinding(verifiedToken({ pay: hash(bytes) }), [[bytes]], 'required')).toBeUndefined();
  });

  it('accepts a token without pay under if-present, with or without the header', () => {
    expect(checkBinding(verifiedToken({}), [[Buffer.from(BEARER)]], 'if-present')).toBeUndefined();
    expect(checkBinding(verifiedToken({}), [[]], 'if-present')).toBeUndefined();
  });

  it('rejects a token without pay if binding is required, with or without the header', () => {
    expect(checkBinding(verifiedToken({}), [[Buffer.from(BEARER)]], 'required')).toBe('missing_pay_claim');
    expect(checkBinding(verifiedToken({}), [[]], 'required')).toBe('missing_pay_claim');
  });
});

describe('payClaim', () => {
  it.each([
    {
      name: 'Approov’s published value',
      values: ['Bearer myauth_token', 'my-device-id'],
      expected: '71tnS3rSq2lanEWrKz4MoexiOMtv7w0fspfM8BAQKNU=',
    },
    {
      name: 'what Approov’s tool prints',
      values: ['ExampleAuthToken==', 'ContentDigest=='],
      expected: 'rncT7suIJjAlDTXvL3eVAuJYyRgKAnOe13eUaq9xHCQ=',
    },
    { name: 'values trimmed', values: [` ${BEARER}\t`], expected: PAY },
  ])('is $name', ({ values, expected }) => {
    expect(payClaim(values)).toBe(expected);
  });

  it('makes a claim that checkBinding accepts', () => {
    const values = [BEARER, 'ünïcode'];
    const bytes = values.map((value) => [Buffer.from(value)]);
    expect(checkBinding(verifiedToken({ pay: payClaim(values) }), bytes, 'required')).toBeUndefined();
  });
});

function hash(value: string | Buffer): string {
  return createHash('sha256').update(value).digest('base64');
}
