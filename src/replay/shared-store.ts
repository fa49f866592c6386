/** Records signatures in a store that all replicas share, each within a deadline. */
import type { ReplayMark } from '../authz/replay.ts';
import { MAX_CLOCK_DIFFERENCE_SECONDS } from './clock-difference.ts';
import { isSameRequest, recordedId } from './request-id.ts';
import { describeError } from './store-connection.ts';
import type { StoreFailure } from './store-failure.ts';
import { KEY_PREFIX } from './store-memory.ts';
import { keepSession, type Session, type SessionKeeper, type SessionOptions } from './store-session.ts';

type StoreOutcome =
  | { readonly kind: 'fresh' }
  /** `firstRequestId`: of the request that was recorded. */
  | { readonly kind: 'replayed'; readonly firstRequestId: string }
  /** `problem`: of an error reply, in a word. */
  | { readonly kind: 'failed'; readonly failure: StoreFailure; readonly problem?: string };

export interface SharedStore extends Pick<SessionKeeper, 'state' | 'attempted' | 'close'> {
  /** Resolves within the timeout; never rejects. */
  add(mark: ReplayMark): Promise<StoreOutcome>;
}

interface SharedStoreOptions extends SessionOptions {
  /** For each signature. */
  readonly timeoutMs: number;
}

/** Beyond it, signatures fail immediately: a store that has stalled must not fill the memory. */
const MAX_IN_FLIGHT = 10_000;

export function openSharedStore({ timeoutMs, ...options }: SharedStoreOptions): SharedStore {
  const { nowSeconds } = options;
  const keeper = keepSession(options);
  let inFlight = 0;

  async function send(mark: ReplayMark, session: Session): Promise<StoreOutcome> {
    inFlight++;
    try {
      const { key, requestId } = mark;
      const ttlMs = ttlMsOf(mark, nowSeconds());
      const recorded = await session.connection.setIfAbsent(KEY_PREFIX + key, recordedId(requestId), ttlMs);
      if (recorded !== null && !isSameRequest(recorded, requestId))
        return { kind: 'replayed', firstRequestId: recorded };
      return mayBeForgotten(mark, session) ? failed('forgotten') : { kind: 'fresh' };
    } catch (error) {
      // A session that ended meanwhile has taken its commands along.
      if (keeper.session() !== session) return failed('disconnected');
      return { kind: 'failed', failure: 'refused', problem: describeError(error) };
    } finally {
      inFlight--;
    }
  }

  return {
    state: keeper.state,
    attempted: keeper.attempted,
    close: keeper.close,
    async add(mark) {
      const session = keeper.session();
      if (session === undefined) return failed('disconnected');
      if (inFlight >= MAX_IN_FLIGHT) return failed('overloaded');
      return beforeDeadline(timeoutMs, send(mark, session));
    },
  };
}

function failed(failure: StoreFailure): StoreOutcome {
  return { kind: 'failed', failure };
}

function ttlMsOf({ keepUntilSeconds }: ReplayMark, nowSeconds: number): number {
  return Math.max(1, Math.ceil((keepUntilSeconds + MAX_CLOCK_DIFFERENCE_SECONDS - nowSeconds) * 1000));
}

/** Whether the signature may have been used before the memory of the store began. */
function mayBeForgotten({ createdSeconds, clockToleranceSeconds }: ReplayMark, { memory }: Session): boolean {
  const firstUseSeconds = createdSeconds - clockToleranceSeconds;
  return !(firstUseSeconds > memory.startSeconds + MAX_CLOCK_DIFFERENCE_SECONDS);
}

function beforeDeadline(timeoutMs: number, outcome: Promise<StoreOutcome>): Promise<StoreOutcome> {
  return new Promise((resolve) => {
    // After a stall of this process, timers run before the reply is read, though it may have arrived in time.
    const timer = setTimeout(() => setImmediate(() => resolve(failed('timeout'))), timeoutMs);
    void outcome.then((known) => {
      clearTimeout(timer);
      resolve(known);
    });
  });
}
