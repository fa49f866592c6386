/** Owns verdict, mode and action, and the table by which an action follows from the other two. */

export type Verdict = 'verified' | 'unverified' | 'skipped';
export type Action = 'allow' | 'limit' | 'deny';

export const MODES = ['off', 'observe', 'limit', 'enforce'] as const;
export type Mode = (typeof MODES)[number];

/** The mode of a check that no policy was found for. */
export const UNKNOWN = 'unknown';

interface ActionRow {
  readonly unverified: Action;
  readonly fault: Action;
}

const ACTIONS: Readonly<Record<Mode | typeof UNKNOWN, ActionRow>> = {
  // Nothing was protected yet under observe, so a fault of ours must not start to refuse; alerts count it.
  observe: { unverified: 'allow', fault: 'allow' },
  limit: { unverified: 'limit', fault: 'deny' },
  enforce: { unverified: 'deny', fault: 'deny' },
  // No check under `off` ends unverified; a row all the same, so that a bug would fail closed.
  off: { unverified: 'deny', fault: 'deny' },
  unknown: { unverified: 'deny', fault: 'deny' },
};

/** @param isFault the check ended in `internal_error`: we could not decide. */
export function actionFor(mode: Mode | typeof UNKNOWN, verdict: Verdict, isFault: boolean): Action {
  if (verdict !== 'unverified') return 'allow';
  return isFault ? ACTIONS[mode].fault : ACTIONS[mode].unverified;
}

interface Outcome {
  readonly action: Action;
  readonly verdict: Verdict;
}

/** Of the verdicts under which a request is let through; a skipped check proves less than a verified token. */
const ALLOWED: Readonly<Record<Verdict, number>> = { verified: 0, skipped: 1, unverified: 2 };

export function isStricter(outcome: Outcome, than: Outcome): boolean {
  return strictness(outcome) > strictness(than);
}

function strictness({ action, verdict }: Outcome): number {
  if (action === 'allow') return ALLOWED[verdict];
  return action === 'limit' ? 3 : 4;
}
