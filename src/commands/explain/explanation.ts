/** Explains a decision: the outcome, each step with its facts, and advice. */
import type { CompactToken, JsonObject } from '../../approov/compact-token.ts';
import { hasClaims, type VerifiedToken } from '../../approov/token.ts';
import { REASONS, type Step } from '../../authz/reason.ts';
import { UNKNOWN } from '../../authz/verdict.ts';
import { clipAll } from '../../telemetry/printable.ts';
import { ADVICE } from './advice.ts';
import { sentencesOf } from './sentences.ts';
import { type FactsByStep, gatherFacts, type StepResult, type Subject, stepsReached } from './step-facts.ts';
import { type Outcome, summarize } from './summary.ts';

/** What `--json` prints. */
export interface Explanation extends Outcome {
  readonly policy: string;
  readonly mode: string;
  readonly verdict: string;
  readonly action: string;
  readonly reason: string;
  readonly would_deny: boolean;
  readonly meaning: string;
  readonly remedy: string;
  readonly advice: { readonly app_developer: string; readonly on_call: string } | null;
  readonly ambiguous?: string;
  readonly key_id?: string;
  /** The steps reached, in order. */
  readonly steps: readonly (StepResult & {
    readonly facts: FactsByStep[Step] | undefined;
    /** The facts in sentences. */
    readonly text: readonly string[];
  })[];
  /** Of a token that could be read. */
  readonly token?: {
    readonly header: unknown;
    readonly claims: unknown;
    readonly signature: 'verified' | 'not verified';
  };
}

export function explainDecision(subject: Subject): Explanation {
  const { decision } = subject;
  const { policy, mode, verdict, action, reason, verifiedToken, ambiguous } = decision;
  const { meaning, remedy } = REASONS[reason];
  const facts = gatherFacts(subject);
  return {
    ...summarize(decision, facts),
    policy: policy?.name ?? UNKNOWN,
    mode,
    verdict,
    action,
    reason,
    would_deny: verdict === 'unverified',
    meaning,
    remedy,
    advice: ADVICE[reason],
    ...(ambiguous === undefined ? {} : { ambiguous }),
    ...(verifiedToken === undefined ? {} : { key_id: verifiedToken.keyId }),
    steps: stepsReached(decision).map(({ step, result }) => ({
      step,
      result,
      facts: facts[step],
      text: sentencesOf(step, facts),
    })),
    ...describeToken(subject),
  };
}

function describeToken({ decision }: Subject): Pick<Explanation, 'token'> {
  const { presentedToken, verifiedToken } = decision;
  if (presentedToken?.header === undefined) return {};
  return {
    token: {
      header: clipAll(presentedToken.header),
      claims: clipAll(readClaims(presentedToken, verifiedToken) ?? null),
      signature: verifiedToken === undefined ? 'not verified' : 'verified',
    },
  };
}

/** Of an encrypted token, those that it contained; `undefined`: not a JSON object. */
function readClaims(presented: CompactToken, verified: VerifiedToken | undefined): JsonObject | undefined {
  if (verified === undefined) return presented.claims;
  return hasClaims(verified) ? verified.claims : undefined;
}
