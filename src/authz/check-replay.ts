/** Refuses a request whose message signature was used before: the last part of a check, and the only one with state. */
import { replayMark } from '../approov/message-signature/replay-mark.ts';
import { type Decision, toDecision } from './decide.ts';
import type { Policy } from './policy.ts';
import type { ReplayGuard, ReplayMark, ReplayOutcome, ReplayScope } from './replay.ts';
import type { StepsResult } from './steps.ts';
import { isStricter } from './verdict.ts';

/** For a process without one: it cannot be known what is a replay. */
export const NO_REPLAY_GUARD: ReplayGuard = { check: () => ({ kind: 'failed' }) };

export function refusesReplays({ messageSignature }: Policy): boolean {
  return messageSignature !== null && messageSignature.replay !== 'off';
}

/** What has to be recorded under one policy. */
interface Use {
  readonly result: StepsResult;
  readonly mark: ReplayMark;
  readonly scope: ReplayScope;
}

/**
 * Records the signatures of a request that is about to be allowed.
 * @param passed the policies whose steps all passed.
 */
export function checkReplay(
  decision: Decision,
  passed: readonly StepsResult[],
  guard: ReplayGuard,
): Decision | Promise<Decision> {
  const uses = decision.action === 'deny' ? [] : passed.flatMap(useOf);
  const outcomes = mergeMarks(uses).map(({ mark, scope }) => {
    const outcome = guard.check(mark, scope);
    return outcome instanceof Promise
      ? outcome.then((known) => ({ key: mark.key, outcome: known }))
      : { key: mark.key, outcome };
  });
  const isKnown = outcomes.every((outcome) => !(outcome instanceof Promise));
  return isKnown
    ? applyOutcomes(decision, uses, outcomes as KeyOutcome[])
    : Promise.all(outcomes).then((known) => applyOutcomes(decision, uses, known));
}

function useOf(result: StepsResult): readonly Use[] {
  const { messageSignature: verified, policy, context } = result;
  const options = policy.messageSignature;
  if (verified?.kind !== 'verified' || options === null || options.replay === 'off') return [];
  const [first] = verified.signatures;
  const mark = {
    ...replayMark(first, options),
    requestId: context.request.requestId,
    createdSeconds: first.input.created,
    clockToleranceSeconds: options.clockToleranceSeconds,
  };
  return [{ result, mark, scope: options.replay }];
}

/** Records each signature once, in the wider scope and for the longest time of the policies. */
function mergeMarks(uses: readonly Use[]): readonly Omit<Use, 'result'>[] {
  const merged = new Map<string, Omit<Use, 'result'>>();
  for (const { mark, scope } of uses) {
    const known = merged.get(mark.key);
    merged.set(mark.key, {
      mark: {
        ...mark,
        clockToleranceSeconds: Math.max(mark.clockToleranceSeconds, known?.mark.clockToleranceSeconds ?? 0),
        keepUntilSeconds: Math.max(mark.keepUntilSeconds, known?.mark.keepUntilSeconds ?? 0),
      },
      scope: known?.scope === 'shared' ? 'shared' : scope,
    });
  }
  return [...merged.values()];
}

interface KeyOutcome {
  readonly key: string;
  readonly outcome: ReplayOutcome;
}

/** The strictest outcome still decides. */
function applyOutcomes(decision: Decision, uses: readonly Use[], outcomes: readonly KeyOutcome[]): Decision {
  let strictest = decision;
  for (const { result, mark } of uses) {
    const kind = outcomes.find(({ key }) => key === mark.key)?.outcome.kind ?? 'failed';
    const judged = toDecision(withOutcome(result, kind), decision.ambiguous, decision.sdkStatus);
    if (judged.policy === strictest.policy || isStricter(judged, strictest)) strictest = judged;
  }
  return strictest;
}

function withOutcome(result: StepsResult, replay: ReplayOutcome['kind']): StepsResult {
  if (replay === 'fresh') return { ...result, replay };
  const reason = replay === 'replayed' ? 'message_replayed' : 'internal_error';
  return { ...result, replay, reason, step: 'message_signature' };
}

/** For one call of Check, whose request may have to be decided again: a signature is not recorded a second time. */
export function recordOnce(guard: ReplayGuard): ReplayGuard {
  const outcomes = new Map<string, ReplayOutcome | Promise<ReplayOutcome>>();
  return {
    check(mark, scope) {
      // Under new rules, what only this process has recorded may have to be recorded in the store.
      const use = `${scope} ${mark.key}`;
      const outcome = outcomes.get(`shared ${mark.key}`) ?? outcomes.get(use) ?? guard.check(mark, scope);
      outcomes.set(use, outcome);
      return outcome;
    },
  };
}
