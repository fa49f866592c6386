/** Compares our signature base with Signature-Base-Digest, which SDKs send in debug mode. */
import { createHash } from 'node:crypto';
import { bytesOf, readDictionary } from './dictionary.ts';
import type { SignatureBase } from './signature-base.ts';
import type { SignatureLabel } from './signature-kind.ts';
import type { SignedRequest } from './signed-request.ts';
import type { TargetReadingName } from './target.ts';

/** `differs`: the request is not what the app signed, or was read in another way. `matches`: the key is at fault. */
type BaseDigestComparison =
  | { readonly kind: 'absent' | 'malformed' | 'differs' }
  | { readonly kind: 'matches'; readonly reading: TargetReadingName };

const LIMITS = { bytes: 4096, members: 8 } as const;

/** Older SDKs label the digest by its hash. */
const OLD_LABEL = 'sha-256';

export function compareBaseDigest(
  label: SignatureLabel,
  bases: readonly SignatureBase[],
  request: SignedRequest,
): BaseDigestComparison {
  const result = readDictionary(request, 'signature-base-digest', LIMITS);
  if (result === undefined) return { kind: 'absent' };
  if (result.kind === 'invalid') return { kind: 'malformed' };
  const member = result.members.get(label) ?? result.members.get(OLD_LABEL);
  if (member === undefined) return { kind: 'absent' };
  const sent = bytesOf(member);
  if (sent === undefined) return { kind: 'malformed' };
  const base = bases.find(({ text }) => createHash('sha256').update(text, 'latin1').digest().equals(sent));
  return base === undefined ? { kind: 'differs' } : { kind: 'matches', reading: base.reading };
}
