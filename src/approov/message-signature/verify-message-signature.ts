/** Verifies the message signatures of a request with an Approov token (RFC 9421), step by step. */
import { checkContentDigest, type DigestCheck, type DigestFailure } from './content-digest.ts';
import { readDictionary } from './dictionary.ts';
import { missingComponents } from './required-components.ts';
import { requiredSignatures, type SignatureLabel } from './signature-kind.ts';
import { checkSignatureLifetime, type LifetimeProblem } from './signature-lifetime.ts';
import type { SignedRequest } from './signed-request.ts';
import {
  type InvalidSignature,
  invalidSignature,
  type SignatureFields,
  type SignatureProblem,
  type VerificationContext,
  type VerifiedSignature,
  verifySignature,
} from './verify-signature.ts';

/** The first step that fails names the reason. */
type MessageSignatureFailure =
  | { readonly reason: 'missing_message_signature'; readonly label: SignatureLabel }
  | { readonly reason: 'invalid_message_signature' | 'internal_error'; readonly signature: InvalidSignature }
  | {
      readonly reason: 'message_signature_expired';
      readonly label: SignatureLabel;
      readonly problem: LifetimeProblem;
    }
  | {
      readonly reason: 'missing_signed_components';
      readonly label: SignatureLabel;
      readonly components: readonly string[];
    }
  | { readonly reason: DigestFailure };

interface FailureDetails {
  /** Of the signature at fault. */
  readonly label: SignatureLabel | undefined;
  readonly problem: SignatureProblem | LifetimeProblem | undefined;
  /** Those that are not covered; `undefined` also if it is the body. */
  readonly components: readonly string[] | undefined;
}

/** What people want to know of a failure besides its reason; not every failure has it. */
export function failureDetails(failure: MessageSignatureFailure): FailureDetails {
  const at = 'signature' in failure ? failure.signature : failure;
  return {
    label: 'label' in at ? at.label : undefined,
    problem: 'problem' in at ? at.problem : undefined,
    components: 'components' in failure ? failure.components : undefined,
  };
}

export type MessageSignatureResult =
  /** The policy asks for none from this token. */
  | { readonly kind: 'not_required' }
  | {
      readonly kind: 'failed';
      readonly failure: MessageSignatureFailure;
      /** Those that a key has verified. */
      readonly signatures: readonly VerifiedSignature[];
    }
  | {
      readonly kind: 'verified';
      /** At least one. The first is the one by which a replay is recognised. */
      readonly signatures: readonly [VerifiedSignature, ...VerifiedSignature[]];
      readonly contentDigest: DigestCheck;
    };

const NOT_REQUIRED: MessageSignatureResult = { kind: 'not_required' };

const MAX_LABELS = 8;
const SIGNATURE_INPUT_LIMITS = { bytes: 4096, members: MAX_LABELS } as const;
/** Eight signatures of RSA keys of 4096 bits fit in. */
const SIGNATURE_LIMITS = { bytes: 8192, members: MAX_LABELS } as const;

export function verifyMessageSignature(
  context: VerificationContext,
  nowSeconds: number,
): MessageSignatureResult {
  const { request, options, claims } = context;
  const required = requiredSignatures(options, claims);
  if (required.length === 0) return NOT_REQUIRED;

  const fields = readSignatureFields(request);
  if (fields.kind === 'invalid') return failed(invalid(fields));
  const missing = required.find((label) => !fields.signatureInput.has(label) && !fields.signature.has(label));
  if (missing !== undefined) return failed({ reason: 'missing_message_signature', label: missing });

  const signatures: VerifiedSignature[] = [];
  for (const label of required) {
    const result = verifySignature(label, fields, context);
    if (result.kind === 'invalid') return failed(invalid(result), signatures);
    signatures.push(result);
  }
  return checkVerified(signatures, context, nowSeconds);
}

/** What follows the signature: a forged one must not reveal which parameters would do. */
function checkVerified(
  signatures: readonly VerifiedSignature[],
  { request, options }: VerificationContext,
  nowSeconds: number,
): MessageSignatureResult {
  for (const { label, input } of signatures) {
    const problem = checkSignatureLifetime(input, options, nowSeconds);
    if (problem !== undefined) {
      return failed({ reason: 'message_signature_expired', label, problem }, signatures);
    }
  }
  for (const { label, input } of signatures) {
    const components = missingComponents(input, options, request);
    if (components.length > 0) {
      return failed({ reason: 'missing_signed_components', label, components }, signatures);
    }
  }
  const inputs = signatures.map(({ input }) => input);
  const digest = checkContentDigest(inputs, options, request);
  if (digest.kind === 'failed') return failed({ reason: digest.reason }, signatures);
  const [first, ...others] = signatures;
  if (first === undefined) throw new Error('no signature was verified');
  return { kind: 'verified', signatures: [first, ...others], contentDigest: digest.check };
}

function readSignatureFields(
  request: SignedRequest,
): ({ readonly kind: 'fields' } & SignatureFields) | InvalidSignature {
  const signatureInput = readDictionary(request, 'signature-input', SIGNATURE_INPUT_LIMITS);
  if (signatureInput?.kind === 'invalid') return invalidSignature(signatureInput.problem);
  const signature = readDictionary(request, 'signature', SIGNATURE_LIMITS);
  if (signature?.kind === 'invalid') return invalidSignature(signature.problem);
  return {
    kind: 'fields',
    signatureInput: signatureInput?.members ?? NO_MEMBERS,
    signature: signature?.members ?? NO_MEMBERS,
  };
}

const NO_MEMBERS = new Map();

function invalid(signature: InvalidSignature): MessageSignatureFailure {
  // To call the signature invalid would hide from the operator that keys and readings are too many to try.
  const isExhausted = signature.problem === 'too_many_verifications';
  return { reason: isExhausted ? 'internal_error' : 'invalid_message_signature', signature };
}

function failed(
  failure: MessageSignatureFailure,
  signatures: readonly VerifiedSignature[] = [],
): MessageSignatureResult {
  return { kind: 'failed', failure, signatures };
}
