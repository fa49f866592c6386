/** Tests that no change of one byte of a signed request, in what is covered, leaves the request valid. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BYTE_CHANGE, changeByte, meaningOf } from '../../../support/byte-change.ts';
import { type Line, signLines, verifyRequest } from '../../../support/message-signature.ts';
import { signedRequest } from '../../../support/signed-request.ts';

/** For the account signature, which is cheap to verify. What is covered is read alike for both. */
const RUNS = { account: 1000, install: 100 };
const SIGNATURE_RUNS = 1000;
const BODY = '{"shape":"circle","size":1}';

/** The parts of a request, each of which is covered. */
const SENT = {
  method: 'POST',
  scheme: 'https',
  authority: 'api.example.com:8443',
  path: '/v1/caf%C3%A9;x=1/shapes',
  query: 'size=large&colour=%23fff',
  token: 'eyJhbGciOiJIUzI1NiJ9.eyJkaWQiOiJ4In0.c2lnbmF0dXJl',
  authorization: 'Bearer abc',
  'content-type': 'application/json; charset=utf-8',
  'content-length': String(BODY.length),
  'content-digest': `sha-256=:${createHash('sha256').update(BODY).digest('base64')}:`,
  'approov-traceid': 'trace, with  blanks',
  body: BODY,
};

type Parts = typeof SENT;

const FIELDS: readonly Line[] = [
  ['"approov-token"', SENT.token],
  ['"authorization"', SENT.authorization],
  ['"content-type"', SENT['content-type']],
  ['"content-length"', SENT['content-length']],
  ['"content-digest"', SENT['content-digest']],
  ['"approov-traceid"', SENT['approov-traceid']],
];

const TARGETS = {
  '@target-uri': [['"@target-uri"', `${SENT.scheme}://${SENT.authority}${SENT.path}?${SENT.query}`]],
  'its parts': [
    ['"@scheme"', SENT.scheme],
    ['"@authority"', SENT.authority],
    ['"@path"', SENT.path],
    ['"@query"', `?${SENT.query}`],
  ],
} as const satisfies Readonly<Record<string, readonly Line[]>>;

function isVerified(
  { method, scheme, authority, path, query, token, body, ...headers }: Parts,
  signature: ReturnType<typeof signLines>,
  label: 'install' | 'account',
): boolean {
  const request = signedRequest({
    method,
    scheme,
    authority,
    path: `${path}?${query}`,
    headers: { ...headers, ...signature, 'approov-token': token },
    body: { kind: 'complete', bytes: Buffer.from(body, 'latin1') },
  });
  const options = { install: 'off', account: 'off', [label]: 'required', contentDigest: 'required' } as const;
  return verifyRequest(request, { options }).kind === 'verified';
}

describe.each(['install', 'account'] as const)('a request with the %s signature', (label) => {
  describe.each(Object.entries(TARGETS))('over %s', (_, target) => {
    const lines: readonly Line[] = [['"@method"', SENT.method], ...target, ...FIELDS];
    const signature = signLines({ label, lines });

    it('is valid', () => {
      expect(isVerified(SENT, signature, label)).toBe(true);
    });

    it.each(Object.keys(SENT) as (keyof Parts)[])('is not valid with any other %s', (part) => {
      fc.assert(
        fc.property(BYTE_CHANGE, (each) => {
          const changed = changeByte(SENT[part], each);
          fc.pre(meaningOf(part, changed) !== meaningOf(part, SENT[part]));
          expect(isVerified({ ...SENT, [part]: changed }, signature, label)).toBe(false);
        }),
        { numRuns: RUNS[label] },
      );
    });

    it.each(['signature-input', 'signature'] as const)('is not valid with any other header %s', (header) => {
      const bytes = /:([^:]*):/.exec(signature.signature)?.[1] ?? '';
      fc.assert(
        fc.property(BYTE_CHANGE, (each) => {
          const changed = changeByte(signature[header], each);
          fc.pre(meaningOf(header, changed) !== signature[header]);
          // Padding is optional (RFC 8941 §4.2.7).
          fc.pre(!changed.includes(`:${bytes.replace(/=+$/, '')}:`) || header === 'signature-input');
          expect(isVerified(SENT, { ...signature, [header]: changed }, label)).toBe(false);
        }),
        { numRuns: SIGNATURE_RUNS },
      );
    });
  });
});
