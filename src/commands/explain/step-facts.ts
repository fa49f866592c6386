/** Gathers the facts of each step that a check reached, as `explain --json` prints them. */
import { hasAudience, hasIssuer } from '../../approov/claims.ts';
import type { CheckRequest } from '../../authz/check-request.ts';
import type { Decision } from '../../authz/decide.ts';
import type { Policy, PolicyTable } from '../../authz/policy.ts';
import { STEPS, type Step } from '../../authz/reason.ts';
import type { TokenVerifier } from '../../authz/token-verifier.ts';
import { clipAll } from '../../telemetry/printable.ts';
import { type BindingFacts, bindingFacts } from './binding-facts.ts';
import { type KeyFacts, keyFacts, type SignatureFacts, signatureFacts } from './key-facts.ts';
import { type MessageSignatureFacts, messageSignatureFacts } from './message-signature-facts.ts';
import { type PolicyFacts, policyFacts } from './policy-facts.ts';
import { type TokenFacts, tokenFacts } from './token-facts.ts';

/** A decided request, and what decided it. */
export interface Subject {
  readonly decision: Decision;
  readonly request: CheckRequest;
  readonly policyTable: PolicyTable;
  readonly verifier: TokenVerifier;
  /** Whether the time of the decision was given with `--at`. */
  readonly isTimeGiven: boolean;
}

/** A claim has any type: it is the token's. */
export interface LifetimeFacts {
  readonly exp: unknown;
  readonly nbf: unknown;
  readonly iat: unknown;
  readonly now: number;
  readonly now_given: boolean;
  readonly clock_tolerance_seconds: number;
}

export interface ClaimsFacts {
  readonly iss: unknown;
  readonly aud: unknown;
  /** `null`: any. */
  readonly expected_issuer: readonly string[] | null;
  readonly expected_audience: readonly string[] | null;
  readonly audience_is_host: boolean;
  readonly issuer_matches: boolean;
  readonly audience_matches: boolean;
}

/** A new step needs a row here, in {@link GATHER} and in the sentences: it does not compile without. */
export interface FactsByStep {
  readonly policy: PolicyFacts;
  readonly token: TokenFacts;
  readonly key: KeyFacts;
  readonly signature: SignatureFacts;
  readonly lifetime: LifetimeFacts;
  readonly claims: ClaimsFacts;
  readonly binding: BindingFacts;
  readonly message_signature: MessageSignatureFacts;
}

type Gather<S extends Step> = (subject: Subject, policy: Policy) => FactsByStep[S];

/** Of the steps after the first, which alone is reached without a policy. */
const GATHER: { readonly [S in Exclude<Step, 'policy'>]: Gather<S> } = {
  token: ({ decision, request }, policy) => tokenFacts(decision, request, policy),
  key: ({ decision, request, verifier }) => keyFacts(decision, request, verifier),
  signature: ({ decision, request, verifier }) => signatureFacts(decision, request, verifier),
  lifetime: lifetimeFacts,
  claims: claimsFacts,
  binding: ({ decision, request }, policy) => bindingFacts(decision, request, policy),
  message_signature: ({ decision }) => messageSignatureFacts(decision),
};

export interface StepResult {
  readonly step: Step;
  readonly result: 'passed' | 'failed' | 'skipped';
}

/** The steps reached, in order. */
export function stepsReached({ step, verdict }: Decision): readonly StepResult[] {
  const names = Object.keys(STEPS) as Step[];
  if (step === undefined) return names.map((name) => ({ step: name, result: 'passed' }));
  const last = verdict === 'skipped' ? 'skipped' : 'failed';
  return names
    .slice(0, names.indexOf(step) + 1)
    .map((name) => ({ step: name, result: name === step ? last : 'passed' }));
}

/** Of the steps reached. */
export function gatherFacts(subject: Subject): Partial<FactsByStep> {
  const { decision, request, policyTable } = subject;
  const { policy } = decision;
  const gather = (step: Step): FactsByStep[Step] | undefined => {
    if (step === 'policy') return policyFacts(decision, request, policyTable);
    return policy && GATHER[step](subject, policy);
  };
  return Object.fromEntries(stepsReached(decision).map(({ step }) => [step, gather(step)]));
}

function lifetimeFacts({ decision, isTimeGiven }: Subject, policy: Policy): LifetimeFacts {
  const { exp, nbf, nowSeconds = 0 } = decision.facts.lifetime ?? {};
  return {
    exp: clipAll(exp),
    nbf: clipAll(nbf),
    iat: clipAll(decision.verifiedToken?.claims['iat']),
    now: nowSeconds,
    now_given: isTimeGiven,
    clock_tolerance_seconds: policy.clockToleranceSeconds,
  };
}

function claimsFacts({ decision: { facts, verifiedToken } }: Subject, policy: Policy): ClaimsFacts {
  const { iss, aud, expectedIssuer = null, expectedAudience = null } = facts.claims ?? {};
  return {
    iss: clipAll(iss),
    aud: clipAll(aud),
    expected_issuer: expectedIssuer,
    expected_audience: expectedAudience && [...new Set(expectedAudience)],
    audience_is_host: policy.audience === 'host',
    issuer_matches:
      expectedIssuer === null || (verifiedToken !== undefined && hasIssuer(verifiedToken, expectedIssuer)),
    audience_matches:
      expectedAudience === null ||
      (verifiedToken !== undefined && hasAudience(verifiedToken, expectedAudience)),
  };
}
