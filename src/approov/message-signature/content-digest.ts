/** Checks Content-Digest (RFC 9530 §2) against the body of a request. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { trimOws } from '../field-value.ts';
import { bytesOf, readDictionary } from './dictionary.ts';
import type { MessageSignatureOptions } from './options.ts';
import type { SignatureInput } from './signature-input.ts';
import type { SignedRequest } from './signed-request.ts';

export const CONTENT_DIGEST = 'content-digest';

/** `unchecked`: covered, but there was no body to compare it with. */
export type DigestCheck = 'off' | 'not_covered' | 'matches' | 'unchecked';

export type DigestFailure = 'missing_signed_components' | 'content_digest_mismatch';

type DigestResult =
  | { readonly kind: 'passed'; readonly check: DigestCheck }
  | { readonly kind: 'failed'; readonly reason: DigestFailure };

const LIMITS = { bytes: 4096, members: 32 } as const;

/** The active algorithms of RFC 9530 §5; others are ignored. */
const HASHES = [
  ['sha-256', 'sha256'],
  ['sha-512', 'sha512'],
] as const;

/** The value of Content-Digest that the SDKs send with a body. */
export function contentDigestOf(body: Buffer): string {
  return `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
}

/** @param inputs of the verified signatures. */
export function checkContentDigest(
  inputs: readonly SignatureInput[],
  { contentDigest }: MessageSignatureOptions,
  request: SignedRequest,
): DigestResult {
  if (contentDigest === 'off') return { kind: 'passed', check: 'off' };
  const isRequired = contentDigest === 'required';
  if (isRequired && hasBody(request) && !inputs.every(({ names }) => names.has(CONTENT_DIGEST))) {
    return { kind: 'failed', reason: 'missing_signed_components' };
  }
  if (!inputs.some(({ names }) => names.has(CONTENT_DIGEST))) return { kind: 'passed', check: 'not_covered' };
  const comparison = compareDigests(request);
  if (comparison === 'matches') return { kind: 'passed', check: 'matches' };
  return comparison === 'differs' || isRequired
    ? { kind: 'failed', reason: 'content_digest_mismatch' }
    : { kind: 'passed', check: 'unchecked' };
}

const NO_BYTES = Buffer.alloc(0);

function compareDigests(request: SignedRequest): 'matches' | 'differs' | 'unseen' {
  const { body } = request;
  if (body.kind === 'truncated') return 'differs';
  if (body.kind === 'complete') return matchesDigests(request, body.bytes) ? 'matches' : 'differs';
  // Some SDKs also send the digest of an empty body.
  return !hasBody(request) && matchesDigests(request, NO_BYTES) ? 'matches' : 'unseen';
}

function matchesDigests(request: SignedRequest, body: Buffer): boolean {
  const result = readDictionary(request, CONTENT_DIGEST, LIMITS);
  if (result?.kind !== 'dictionary') return false;
  const present = HASHES.filter(([name]) => result.members.has(name));
  return (
    present.length > 0 &&
    present.every(([name, hash]) => {
      const member = result.members.get(name);
      const sent = member && bytesOf(member);
      const actual = createHash(hash).update(body).digest();
      return sent?.length === actual.length && timingSafeEqual(sent, actual);
    })
  );
}

/** Whether a request is known to have a body. HTTP/2 requires no header that announces it. */
function hasBody(request: SignedRequest): boolean {
  const { body } = request;
  if (body.kind !== 'unseen') return body.kind === 'truncated' || body.bytes.length > 0;
  const lengths = request.headerValues('content-length').map((value) => trimOws(value).toString('latin1'));
  return (
    lengths.some((length) => !/^0+$/.test(length)) || request.headerValues('transfer-encoding').length > 0
  );
}
