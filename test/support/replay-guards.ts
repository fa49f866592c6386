/** Creates replay guards as replicas would, with a clock that a test moves. */
import { randomBytes } from 'node:crypto';
import type { ReplayMark, ReplayOutcome } from '../../src/authz/replay.ts';
import { createReplayGuard, type StoreSettings } from '../../src/replay/replay-guard.ts';
import { eventually } from './cluster.ts';

/** Longer than any pause of a busy machine. */
const PATIENT_MS = 30_000;

export function createReplicas() {
  const closing: (() => void)[] = [];
  let ahead = 0;
  let marks = 0;
  const nowSeconds = (): number => Date.now() / 1000 + ahead;

  /** A guard that is connected, unless `waits` is false. */
  async function replica(
    {
      maxLocalMarks,
      ...settings
    }: Pick<StoreSettings, 'url'> & Partial<StoreSettings> & { readonly maxLocalMarks?: number },
    waits = true,
  ) {
    const failures: string[] = [];
    const states: string[] = [];
    const guard = createReplayGuard({
      nowSeconds,
      ...(maxLocalMarks === undefined ? {} : { maxLocalMarks }),
      onFailure: (failure, problem) =>
        failures.push(problem === undefined ? failure : `${failure} ${problem}`),
      onState: (state) => states.push(state.kind === 'disconnected' ? state.problem : state.kind),
    });
    closing.push(() => guard.close());
    await guard.useStore({ timeoutMs: PATIENT_MS, onError: 'deny', ...settings });
    const isConnected = async (): Promise<true | undefined> =>
      guard.storeState() === 'connected' ? true : undefined;
    const connected = (): Promise<true> => eventually('a connection to the store', isConnected);
    if (waits) await connected();
    return {
      failures,
      states,
      connected,
      state: () => guard.storeState(),
      useStore: guard.useStore,
      close: () => guard.close(),
      check: async (mark: ReplayMark): Promise<ReplayOutcome['kind']> =>
        (await guard.check(mark, 'shared')).kind,
    };
  }

  return {
    replica,

    /** Of a signature that is created now. */
    newMark: (requestId = `stream-${marks++}`): ReplayMark => ({
      key: randomBytes(32).toString('base64url'),
      requestId,
      createdSeconds: nowSeconds(),
      clockToleranceSeconds: 0,
      keepUntilSeconds: nowSeconds() + 300,
    }),

    /** Moves on far enough that a store which has just started remembers every new signature. */
    later(): void {
      ahead += 10;
    },

    close(): void {
      for (const close of closing.splice(0)) close();
    },
  };
}

export type Replica = Awaited<ReturnType<ReturnType<typeof createReplicas>['replica']>>;

/** The same signature, sent again as another request. */
export function replayOf(mark: ReplayMark, requestId = `replay-of-${mark.requestId}`): ReplayMark {
  return { ...mark, requestId };
}

export function countOf(outcomes: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}
