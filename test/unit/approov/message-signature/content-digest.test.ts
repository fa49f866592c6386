/** Tests Content-Digest against bodies that are complete, truncated, empty, or were not passed on. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  decideSigned,
  LINES,
  type Line,
  signLines,
  verifyRequest,
} from '../../../support/message-signature.ts';
import { type RequestFields, signedRequest } from '../../../support/signed-request.ts';

describe('the digest of the content', () => {
  const digestOf = (body: string, hash = 'sha256'): string => createHash(hash).update(body).digest('base64');
  const GOOD = `sha-256=:${digestOf('body')}:`;

  /** Of a POST with this digest, covered. */
  const judge = (
    digest: string,
    contentDigest: 'if-present' | 'required',
    request: RequestFields,
  ): string => {
    const lines: readonly Line[] = [
      ['"@method"', 'POST'],
      ['"content-digest"', digest],
    ];
    const options = { contentDigest, requiredComponents: ['@method'] } as const;
    const headers = { 'content-digest': digest, ...request.headers };
    return decideSigned({ lines, options, request: { method: 'POST', ...request, headers } });
  };

  it.each([
    [GOOD, 'verified'],
    [`sha-512=:${digestOf('body', 'sha512')}:`, 'verified'],
    [`sha-512=:${digestOf('body', 'sha512')}:, ${GOOD}`, 'verified'],
    [`sha-256="${digestOf('body')}"`, 'verified'],
    [`md5=:AAAA:, ${GOOD}`, 'verified'],
    [`sha-256=:${digestOf('other')}:`, 'content_digest_mismatch'],
    [`sha-512=:${digestOf('other', 'sha512')}:, ${GOOD}`, 'content_digest_mismatch'],
    [`sha-256=:${digestOf('body')}:, sha-256=:${digestOf('body')}:`, 'content_digest_mismatch'],
    ['md5=:AAAA:', 'content_digest_mismatch'],
    ['sha-256=:AAAA:', 'content_digest_mismatch'],
    ['sha-256=AAAA', 'content_digest_mismatch'],
    ['sha-256', 'content_digest_mismatch'],
    ['', 'content_digest_mismatch'],
    ['(', 'content_digest_mismatch'],
    [`x="${'x'.repeat(4096)}", ${GOOD}`, 'content_digest_mismatch'],
  ])('%s of a complete body: %s', (digest, outcome) => {
    expect(judge(digest, 'if-present', { body: 'body' })).toBe(outcome);
    expect(judge(digest, 'required', { body: 'body' })).toBe(outcome);
  });

  it.each(['if-present', 'required'] as const)(
    'of a truncated body never passes under %s',
    (contentDigest) => {
      const request = { body: { kind: 'truncated' } } as const;
      expect(judge(GOOD, contentDigest, request)).toBe('content_digest_mismatch');
      expect(judge(`sha-256=:${digestOf('')}:`, contentDigest, request)).toBe('content_digest_mismatch');
    },
  );

  it('of a body that was not passed on is unchecked, or fails if it is required', () => {
    for (const headers of [{}, { 'content-length': '4' }, { 'transfer-encoding': 'chunked' }]) {
      expect(judge(GOOD, 'if-present', { headers })).toBe('verified');
      expect(judge(GOOD, 'required', { headers })).toBe('content_digest_mismatch');
    }
  });

  it.each([
    [{}, 'matches', 'verified'],
    [{ 'content-length': '0' }, 'matches', 'verified'],
    [{ 'content-length': '1' }, 'unchecked', 'content_digest_mismatch'],
    [{ 'content-length': ['0', '1'] }, 'unchecked', 'content_digest_mismatch'],
    [{ 'transfer-encoding': 'chunked' }, 'unchecked', 'content_digest_mismatch'],
  ] as const)(
    'of an empty body, with the headers %j, is checked where there is none: %s',
    (headers, check, outcome) => {
      const empty = `sha-256=:${digestOf('')}:`;
      const signature = signLines({ lines: [['"content-digest"', empty]] });
      const request = signedRequest({ headers: { ...headers, ...signature, 'content-digest': empty } });
      const options = { requiredComponents: ['content-digest'] };
      expect(verifyRequest(request, { options })).toMatchObject({ kind: 'verified', contentDigest: check });
      expect(judge(empty, 'required', { headers })).toBe(outcome);
    },
  );

  it.each([
    ['body', 'missing_signed_components'],
    ['', 'verified'],
    [{ kind: 'truncated' }, 'missing_signed_components'],
    [undefined, 'verified'],
  ] as const)('must be covered where it is required and the body is %j: %s', (body, outcome) => {
    const options = { contentDigest: 'required' } as const;
    expect(decideSigned({ request: { body }, options })).toBe(outcome);
    expect(decideSigned({ request: { body }, options: { contentDigest: 'if-present' } })).toBe('verified');
  });

  it('must be covered where it is required and a header announces a body', () => {
    const options = { contentDigest: 'required' } as const;
    const request = { headers: { 'content-length': '5' } };
    expect(decideSigned({ request, options })).toBe('missing_signed_components');
  });

  it('is not judged if it is off, or not covered', () => {
    const headers = { 'content-digest': `sha-256=:${digestOf('other')}:` };
    expect(decideSigned({ request: { body: 'body', headers } })).toBe('verified');
    const lines: readonly Line[] = [...LINES, ['"content-digest"', headers['content-digest']]];
    const request = { body: 'body', headers };
    expect(decideSigned({ request, lines, options: { contentDigest: 'off' } })).toBe('verified');
    expect(decideSigned({ request, lines })).toBe('content_digest_mismatch');
  });
});
