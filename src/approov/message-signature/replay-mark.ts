/** Derives the mark by which a replay store recognises a signature that it has seen. */
import { createHash } from 'node:crypto';
import type { MessageSignatureOptions } from './options.ts';
import { SIGNATURE_KINDS } from './signature-kind.ts';
import { acceptedUntilSeconds } from './signature-lifetime.ts';
import type { VerifiedSignature } from './verify-signature.ts';

export interface SignatureMark {
  /** SHA-256 of key id and signature, in base64url; the same for all signatures that are valid together. */
  readonly key: string;
  /** From then on, the signature is not accepted anyway. */
  readonly keepUntilSeconds: number;
}

export function replayMark(signature: VerifiedSignature, options: MessageSignatureOptions): SignatureMark {
  const { label, key, input } = signature;
  const canonical = SIGNATURE_KINDS[label].canonical(signature.bytes);
  // The canonical signature has one length per label, so that no two pairs are hashed as the same bytes.
  const hash = createHash('sha256').update(`${label} ${key.identity} `).update(canonical);
  return { key: hash.digest('base64url'), keepUntilSeconds: acceptedUntilSeconds(input, options) };
}
