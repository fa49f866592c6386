/** Tests the comparison with Signature-Base-Digest, by which a wrong base can be told from a wrong key. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { compareBaseDigest } from '../../../../src/approov/message-signature/base-digest.ts';
import { signedRequest } from '../../../support/signed-request.ts';

const BASES = [
  { reading: 'rfc9421', text: '"@query": ?caf\u00c3\u00a9' },
  { reading: 'okhttp', text: '"@query": caf\u00c3\u00a9' },
] as const;

const digestOf = (text: string): string => `:${createHash('sha256').update(text).digest('base64')}:`;

describe('Signature-Base-Digest', () => {
  it.each([
    [undefined, { kind: 'absent' }],
    [`account=${digestOf('x')}`, { kind: 'absent' }],
    ['(', { kind: 'malformed' }],
    ['install=1', { kind: 'malformed' }],
    [`install=${digestOf('x')}`, { kind: 'differs' }],
    [`install=${digestOf('"@query": ?café')}`, { kind: 'matches', reading: 'rfc9421' }],
    [`account=:AA==:, install=${digestOf('"@query": café')}`, { kind: 'matches', reading: 'okhttp' }],
    [`sha-256=${digestOf('"@query": café')}`, { kind: 'matches', reading: 'okhttp' }],
  ])('of %j: %j', (value, comparison) => {
    const request = signedRequest({ headers: value === undefined ? {} : { 'signature-base-digest': value } });
    expect(compareBaseDigest('install', BASES, request)).toEqual(comparison);
  });
});
