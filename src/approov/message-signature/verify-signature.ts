/** Verifies one signature of a request (RFC 9421 §3.2). */
import type { JsonObject } from '../compact-token.ts';
import type { VerificationAttempts } from '../token.ts';
import { bytesOf, type Dictionary, type DictionaryProblem } from './dictionary.ts';
import type { MessageSignatureKeys, MessageSignatureOptions } from './options.ts';
import { type SignatureBase, signatureBases } from './signature-base.ts';
import { parseSignatureInput, type SignatureInput, type SignatureInputProblem } from './signature-input.ts';
import { SIGNATURE_KINDS, type SignatureKey, type SignatureLabel } from './signature-kind.ts';
import type { SignedRequest } from './signed-request.ts';
import type { TargetReadingName } from './target.ts';

export interface VerifiedSignature {
  readonly kind: 'verified';
  readonly label: SignatureLabel;
  readonly input: SignatureInput;
  readonly key: SignatureKey;
  /** Of an ECDSA signature: r‖s. */
  readonly bytes: Buffer;
  /** How the request's target was read. */
  readonly reading: TargetReadingName;
  /** Those that were tried; the last one is verified. */
  readonly bases: readonly SignatureBase[];
}

export type SignatureProblem =
  | DictionaryProblem
  | SignatureInputProblem
  | 'unpaired_label'
  | 'wrong_algorithm'
  | 'wrong_form'
  | 'no_key'
  | 'missing_component'
  | 'not_verified'
  | 'too_many_verifications';

export interface InvalidSignature {
  readonly kind: 'invalid';
  readonly problem: SignatureProblem;
  readonly label: SignatureLabel | undefined;
  /** `undefined` if it could not be read. */
  readonly input: SignatureInput | undefined;
  /** Those that were tried. */
  readonly bases: readonly SignatureBase[];
}

export interface SignatureFields {
  readonly signatureInput: Dictionary;
  readonly signature: Dictionary;
}

export interface VerificationContext {
  readonly request: SignedRequest;
  readonly options: MessageSignatureOptions;
  /** Of the verified token: they name the keys. */
  readonly claims: JsonObject;
  readonly keys: MessageSignatureKeys;
  /** Of the check, with all its tokens and signatures. */
  readonly attempts: Pick<VerificationAttempts, 'publicKeysLeft'>;
}

export function verifySignature(
  label: SignatureLabel,
  fields: SignatureFields,
  { request, options, claims, keys, attempts }: VerificationContext,
): VerifiedSignature | InvalidSignature {
  const kind = SIGNATURE_KINDS[label];
  const inputMember = fields.signatureInput.get(label);
  const member = fields.signature.get(label);
  if (inputMember === undefined || member === undefined) return invalidSignature('unpaired_label', label);
  const parsed = parseSignatureInput(inputMember);
  if (parsed.kind === 'invalid') return invalidSignature(parsed.problem, label);
  const { input } = parsed;
  if (input.algorithm !== undefined && input.algorithm !== kind.algorithm) {
    return invalidSignature('wrong_algorithm', label, input);
  }
  const sent = bytesOf(member);
  const bytes = sent && kind.decode(sent, options);
  if (bytes === undefined) return invalidSignature('wrong_form', label, input);
  const key = kind.key(claims[kind.claim], keys);
  if (key === undefined) return invalidSignature('no_key', label, input);

  const bases: SignatureBase[] = [];
  for (const base of signatureBases(input, request)) {
    if (kind.isPublicKey && attempts.publicKeysLeft-- <= 0) {
      return invalidSignature('too_many_verifications', label, input, bases);
    }
    bases.push(base);
    if (key.verify(base.text, bytes)) {
      return { kind: 'verified', label, input, key, bytes, reading: base.reading, bases };
    }
  }
  return invalidSignature(bases.length === 0 ? 'missing_component' : 'not_verified', label, input, bases);
}

const NO_BASES: readonly SignatureBase[] = [];

export function invalidSignature(
  problem: SignatureProblem,
  label?: SignatureLabel,
  input?: SignatureInput,
  bases: readonly SignatureBase[] = NO_BASES,
): InvalidSignature {
  return { kind: 'invalid', problem, label, input, bases };
}
