/** Maps verdict and mode to an action. */

export type Verdict = 'verified' | 'unverified' | 'skipped';
export type Action = 'allow' | 'limit' | 'deny';

export const MODES = ['off', 'observe', 'limit', 'enforce'] as const;
export type Mode = (typeof MODES)[number];

/** The policy and mode of a check without a configured policy. */
export const UNKNOWN = 'unknown';

interface ActionRow {
  readonly unverified: Action;
  readonly fault: Action;
}

const ACTIONS: Readonly<Record<Mode | typeof UNKNOWN, ActionRow>> = {
  // Under observe nothing is protected yet, so a fault must not start to deny; alerts count it.
  observe: { unverified: 'allow', fault: 'allow' },
  limit: { unverified: 'limit', fault: 'deny' },
  enforce: { unverified: 'deny', fault: 'deny' },
  // Never unverified; the row makes a bug fail closed.
  off: { unverified: 'deny', fault: 'deny' },
  unknown: { unverified: 'deny', fault: 'deny' },
};

/** @param isFault the reason is `internal_error`. */
export function actionFor(mode: Mode | typeof UNKNOWN, verdict: Verdict, isFault: boolean): Action {
  if (verdict !== 'unverified') return 'allow';
  return isFault ? ACTIONS[mode].fault : ACTIONS[mode].unverified;
}

interface Outcome {
  readonly action: Action;
  readonly verdict: Verdict;
}

/** Strictness of the verdicts of an allowed request: a skipped check proves less than a verified token. */
const ALLOWED: Readonly<Record<Verdict, number>> = { verified: 0, skipped: 1, unverified: 2 };

export function isStricter(outcome: Outcome, than: Outcome): boolean {
  return strictness(outcome) > strictness(than);
}

function strictness({ action, verdict }: Outcome): number {
  if (action === 'allow') return ALLOWED[verdict];
  return action === 'limit' ? 3 : 4;
}
