/** Logs the state of the replay store, and its failures at a limited rate. */
import { STORE_FAILURES, type StoreFailure } from '../replay/store-failure.ts';
import type { StoreState } from '../replay/store-session.ts';
import { LineLimiter } from './line-limiter.ts';
import type { Log } from './log.ts';

export function createReplayLog(log: Pick<Log, 'info' | 'warn'>, nowMs: () => number) {
  const limiter = new LineLimiter<StoreFailure>(nowMs, (failure, suppressed) =>
    log.warn({ failure, suppressed }, 'replay store failures suppressed'),
  );

  return {
    /** @param problem of an error reply, in a word. */
    storeFailed(failure: StoreFailure, problem?: string): void {
      if (!limiter.allows(failure)) return;
      log.warn({ failure, meaning: STORE_FAILURES[failure], problem }, 'replay store failed');
    },

    storeState(state: StoreState): void {
      if (state.kind === 'disconnected')
        log.warn({ problem: state.problem }, 'replay store disconnected; connecting again');
      else log.info({}, `replay store ${state.kind}`);
    },

    /** Reports what is still suppressed. */
    close: () => limiter.close(),
  };
}
