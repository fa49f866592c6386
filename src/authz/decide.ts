/** Decides a request: the strictest outcome of the policies that apply, and the action under its mode. */
import type { CompactToken } from '../approov/compact-token.ts';
import { trimOws } from '../approov/field-value.ts';
import type { MessageSignatureResult } from '../approov/message-signature/verify-message-signature.ts';
import { parseSdkStatus, type ReportedSdkStatus } from '../approov/sdk-status.ts';
import type { TokenResult, VerifiedToken } from '../approov/token.ts';
import { type CheckRequest, HEADERS_READ, headerValues } from './check-request.ts';
import { policyInEffect } from './enforced-share.ts';
import { Facts } from './facts.ts';
import type { Ambiguity, Policy, PolicyChoice } from './policy.ts';
import { REASONS, type Reason, type Step } from './reason.ts';
import { type CheckContext, type CheckVerifier, runSteps, type StepsResult } from './steps.ts';
import { createTokenReader, type TokenReader } from './token-header.ts';
import { type Action, actionFor, isStricter, type Mode, UNKNOWN, type Verdict } from './verdict.ts';

export interface Decision {
  /**
   * In the mode that was in effect. `undefined` where no configured policy applied: its name and mode then read
   * `unknown`.
   */
  readonly policy: Policy | undefined;
  readonly mode: Mode | typeof UNKNOWN;
  readonly verdict: Verdict;
  readonly action: Action;
  readonly reason: Reason;
  /** The step that stopped the check; `undefined` if all passed, or none was taken. */
  readonly step: Step | undefined;
  readonly facts: Facts;
  /** As sent, whatever it was. */
  readonly presentedToken: CompactToken | undefined;
  /** Set once a key has verified the signature, even if a later step failed. */
  readonly verifiedToken: VerifiedToken | undefined;
  /** `undefined` if that step was not reached, or the policy asks for no signature. */
  readonly messageSignature: MessageSignatureResult | undefined;
  /** As claimed by the client; `other` for a word that is not known. */
  readonly sdkStatus: ReportedSdkStatus | undefined;
  /** What of the request upstreams may read in different ways. */
  readonly ambiguous: Ambiguity | undefined;
}

/**
 * Decides a request, except whether it is a replay, which takes state. Never throws for what a request contains.
 * @param choice the policies that apply; ties go to the first.
 * @param nowSeconds since the epoch, fractions allowed.
 * @param onPassed called for each policy whose steps all passed, in order.
 */
export function decide(
  request: CheckRequest,
  choice: PolicyChoice,
  verifier: CheckVerifier,
  nowSeconds: number,
  readToken: TokenReader = createTokenReader(request, choice.policies),
  onPassed?: (result: StepsResult) => void,
): Decision {
  const { policies, host, ambiguous } = choice;
  const sdkStatus = readStatusHeader(request);
  const context: CheckContext =
    policies.length === 1
      ? { request, host, nowSeconds, readToken, verifier, bindings: undefined }
      : { request, host, nowSeconds, readToken, verifier: verifyOnce(verifier), bindings: new Map() };
  let strictest: Decision | undefined;
  for (const policy of policies) {
    const result = runSteps(context, policy);
    if (result.step === undefined) onPassed?.(result);
    const decision = toDecision(result, ambiguous, sdkStatus);
    if (strictest === undefined || isStricter(decision, strictest)) strictest = decision;
    // Nothing is stricter.
    if (decision.action === 'deny') break;
  }
  return strictest ?? decideWithoutPolicy('unknown_policy', 'policy', ambiguous, sdkStatus);
}

/** Verifies each token once, and each message once for the same requirements, however many policies read them. */
function verifyOnce({ verifyToken, verifyMessage }: CheckVerifier): CheckVerifier {
  const tokens = new Map<string, TokenResult>();
  const messages = new Map<string, { token: VerifiedToken; result: MessageSignatureResult }>();
  return {
    verifyToken(token, host) {
      const result = tokens.get(token.text) ?? verifyToken(token, host);
      tokens.set(token.text, result);
      return result;
    },
    verifyMessage(request, policy, token) {
      const requirements = JSON.stringify(policy);
      const known = messages.get(requirements);
      if (known?.token === token) return known.result;
      const result = verifyMessage(request, policy, token);
      messages.set(requirements, { token, result });
      return result;
    },
  };
}

/** The decision for a message that does not decode: deny, since nothing is known. */
export function decideUnreadable(): Decision {
  return decideWithoutPolicy('internal_error', undefined, undefined, undefined);
}

/** @param sdkStatus of the header; without one, that in place of a token counts. */
export function toDecision(
  result: StepsResult,
  ambiguous: Ambiguity | undefined,
  sdkStatus: Decision['sdkStatus'],
): Decision {
  const { reason, step, presentedToken, tokenResult } = result;
  const policy = policyInEffect(result);
  const { verdict } = REASONS[reason];
  return {
    policy,
    mode: policy.mode,
    verdict,
    action: actionFor(policy.mode, verdict, reason === 'internal_error'),
    reason,
    step,
    facts: new Facts(result),
    presentedToken,
    verifiedToken: tokenResult?.kind === 'verified' ? tokenResult.token : undefined,
    messageSignature: result.messageSignature,
    sdkStatus: sdkStatus ?? result.sdkStatus,
    ambiguous,
  };
}

const NO_FACTS = new Facts();

function decideWithoutPolicy(
  reason: Reason,
  step: Step | undefined,
  ambiguous: Ambiguity | undefined,
  sdkStatus: Decision['sdkStatus'],
): Decision {
  const { verdict } = REASONS[reason];
  return {
    policy: undefined,
    mode: UNKNOWN,
    verdict,
    action: actionFor(UNKNOWN, verdict, reason === 'internal_error'),
    reason,
    step,
    facts: NO_FACTS,
    presentedToken: undefined,
    verifiedToken: undefined,
    messageSignature: undefined,
    sdkStatus,
    ambiguous,
  };
}

function readStatusHeader(request: CheckRequest): ReportedSdkStatus | undefined {
  const values = headerValues(request, HEADERS_READ.approovStatus);
  if (values.length === 0) return undefined;
  const words = values.map((value) => trimOws(value).toString('latin1')).filter((word) => word !== '');
  if (words.length === 0) return undefined;
  return (words.length === 1 && words[0] !== undefined && parseSdkStatus(words[0])) || 'other';
}
