/** Describes the result of message signatures for the log; never a signature, or what was signed. */
import {
  failureDetails,
  type MessageSignatureResult,
} from '../approov/message-signature/verify-message-signature.ts';

type JudgedMessage = Exclude<MessageSignatureResult, { kind: 'not_required' }>;

interface MessageDescription {
  /** Of the signature at fault; otherwise of all that were verified. */
  readonly label: string | undefined;
  readonly problem: string | undefined;
  /** `unchecked`: there was no body to compare. */
  readonly digest: 'unchecked' | undefined;
}

export function describeSignature(result: JudgedMessage): MessageDescription {
  if (result.kind === 'verified') {
    const label = result.signatures.map((signature) => signature.label).join();
    const digest = result.contentDigest === 'unchecked' ? 'unchecked' : undefined;
    return { label, problem: undefined, digest };
  }
  const { label, problem } = failureDetails(result.failure);
  return { label, problem, digest: undefined };
}
