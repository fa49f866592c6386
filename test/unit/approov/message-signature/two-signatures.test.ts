/** Tests that a request with the signatures of an installation and of an account passes only if both do. */
import { describe, expect, it } from 'vitest';
import { contentDigestOf } from '../../../../src/approov/message-signature/content-digest.ts';
import type { MessageSignatureOptions } from '../../../../src/approov/message-signature/options.ts';
import {
  CREATED,
  joinSignatures,
  LINES,
  type Line,
  outcomeOf,
  signLines,
  verifyRequest,
} from '../../../support/message-signature.ts';
import { signedRequest } from '../../../support/signed-request.ts';

type Signing = Partial<Parameters<typeof signLines>[0]>;

const DIGEST = contentDigestOf(Buffer.from('body'));
const WITH_DIGEST: readonly Line[] = [...LINES, ['"content-digest"', DIGEST]];

function judge(
  signings: { readonly install?: Signing; readonly account?: Signing },
  options: Partial<MessageSignatureOptions> = {},
  body = 'body',
): string {
  const signatures = (['install', 'account'] as const).map((label) =>
    signLines({ lines: LINES, ...signings[label], label }),
  );
  const headers = { 'approov-token': 'token', 'content-digest': DIGEST, ...joinSignatures(...signatures) };
  const request = signedRequest({ headers, body });
  return outcomeOf(verifyRequest(request, { options: { account: 'required', ...options } }));
}

describe('of two signatures', () => {
  it.each(['install', 'account'] as const)('an expired one is noticed: %s', (label) => {
    expect(judge({})).toBe('verified');
    const parameters = `;created=${CREATED - 400}`;
    expect(judge({ [label]: { parameters } })).toBe('message_signature_expired: too_old');
  });

  it.each(['install', 'account'] as const)('one that covers the digest has it compared: %s', (label) => {
    const signings = { [label]: { lines: WITH_DIGEST } };
    expect(judge(signings)).toBe('verified');
    expect(judge(signings, {}, 'other')).toBe('content_digest_mismatch');
  });

  it.each(['install', 'account'] as const)('both must cover a required digest, not only %s', (label) => {
    const required = { contentDigest: 'required' } as const;
    expect(judge({ install: { lines: WITH_DIGEST }, account: { lines: WITH_DIGEST } }, required)).toBe(
      'verified',
    );
    expect(judge({ [label]: { lines: WITH_DIGEST } }, required)).toBe('missing_signed_components');
  });
});
