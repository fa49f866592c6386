/** Refuses replays: asks this process first, then the store that replicas share. */
import { isDeepStrictEqual } from 'node:util';
import type { ReplayGuard, ReplayOutcome } from '../authz/replay.ts';
import { createLocalMarks } from './local-marks.ts';
import { type RedisOptions, redisConnect } from './redis-connection.ts';
import { openSharedStore, type SharedStore } from './shared-store.ts';
import type { StoreFailure } from './store-failure.ts';
import { describeState, type SessionOptions } from './store-session.ts';

export interface StoreSettings extends RedisOptions {
  /** For each signature; default of the configuration: 20. */
  readonly timeoutMs: number;
  /** What a signature is that cannot be recorded: `deny` is `failed`, `allow` is `fresh`. */
  readonly onError: 'deny' | 'allow';
}

export interface StoreGuard extends ReplayGuard {
  /**
   * Uses another store, once an attempt to connect to it has ended; `undefined`: none. Resolves within seconds, whether
   * or not the store answers.
   */
  useStore(settings: StoreSettings | undefined): Promise<void>;
  /** In words, for `/readyz`; `undefined` without a store. */
  storeState(): string | undefined;
  close(): void;
}

interface ReplayGuardOptions extends Pick<SessionOptions, 'nowSeconds' | 'onState'> {
  /** Called for each signature that could not be recorded. */
  readonly onFailure: (failure: StoreFailure, problem?: string) => void;
  readonly maxLocalMarks?: number;
}

const FRESH: ReplayOutcome = { kind: 'fresh' };
const REPLAYED: ReplayOutcome = { kind: 'replayed' };
const FAILED: ReplayOutcome = { kind: 'failed' };

export function createReplayGuard(options: ReplayGuardOptions): StoreGuard {
  const { nowSeconds, onState, onFailure, maxLocalMarks } = options;
  const local = createLocalMarks(maxLocalMarks);
  /** The active one, one that is to become it, and those that still answer what is in flight. */
  const stores = new Set<SharedStore>();
  let wanted: StoreSettings | undefined;
  let active: { readonly store: SharedStore; readonly settings: StoreSettings } | undefined;

  function fail(onError: 'deny' | 'allow', failure: StoreFailure, problem?: string): ReplayOutcome {
    onFailure(failure, problem);
    return onError === 'deny' ? FAILED : FRESH;
  }

  function closeStore(store: SharedStore): void {
    store.close();
    stores.delete(store);
  }

  function replaceStore(next: typeof active): void {
    const last = active;
    active = next;
    // What is in flight is answered first.
    if (last !== undefined) setTimeout(closeStore, last.settings.timeoutMs, last.store).unref();
  }

  return {
    check(mark, scope) {
      const outcome = local.add(mark, nowSeconds());
      if (outcome === 'replayed') return REPLAYED;
      if (scope === 'per-instance') return outcome === 'full' ? fail('deny', 'full') : FRESH;
      // A store remembers more than one process: it is asked even if the process cannot remember this signature.
      if (active === undefined) return fail('deny', 'disconnected');
      const { store, settings } = active;
      return store.add(mark).then((shared) => {
        if (shared.kind === 'failed') return fail(settings.onError, shared.failure, shared.problem);
        if (shared.kind === 'fresh') return FRESH;
        // A retry of the first request may still come to this process.
        local.correct(mark.key, shared.firstRequestId);
        return REPLAYED;
      });
    },

    async useStore(settings) {
      if (isDeepStrictEqual(settings, wanted)) return;
      wanted = settings;
      if (settings === undefined) return replaceStore(undefined);
      const { timeoutMs } = settings;
      const store = openSharedStore({ connect: redisConnect(settings), timeoutMs, nowSeconds, onState });
      stores.add(store);
      await store.attempted;
      if (wanted === settings) replaceStore({ store, settings });
      else closeStore(store);
    },

    storeState: () => active && describeState(active.store.state()),

    close() {
      wanted = undefined;
      active = undefined;
      for (const store of stores) closeStore(store);
    },
  };
}
