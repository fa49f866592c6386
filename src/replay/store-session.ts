/** Keeps a connection to a store open: probes it, and connects again when it is lost. */
import { type Connect, describeError, type StoreConnection, StoreError } from './store-connection.ts';
import { readMemory, type StoreMemory } from './store-memory.ts';

export type StoreState =
  | { readonly kind: 'connecting' | 'connected' }
  | { readonly kind: 'disconnected'; readonly problem: string };

export interface Session {
  readonly connection: StoreConnection;
  /** Replaced when the store was flushed, or has evicted keys. */
  memory: StoreMemory;
}

export interface SessionKeeper {
  /** `undefined` while there is no connection. */
  session(): Session | undefined;
  state(): StoreState;
  /** Resolves when the first attempt to connect has succeeded or failed. */
  readonly attempted: Promise<void>;
  close(): void;
}

export interface SessionOptions {
  readonly connect: Connect;
  /** Seconds since the epoch, fractions allowed. */
  readonly nowSeconds: () => number;
  /** Called when the state changes, or the problem of a store that stays disconnected. */
  readonly onState: (state: StoreState) => void;
}

/** To connect, and to answer a probe. */
const ANSWER_TIMEOUT_MS = 2000;

/** A connection may hang, and a store may be flushed behind it. */
const PROBE_INTERVAL_MS = 1000;

const MAX_BACKOFF_MS = 2000;

export function keepSession({ connect, nowSeconds, onState }: SessionOptions): SessionKeeper {
  const closing = new AbortController();
  let ending = new AbortController();
  let state: StoreState = { kind: 'connecting' };
  let session: Session | undefined;
  let onAttempted: () => void = () => undefined;
  const attempted = new Promise<void>((resolve) => {
    onAttempted = resolve;
  });

  function enter(next: StoreState): void {
    const isNew = describeState(next) !== describeState(state);
    state = next;
    onAttempted();
    if (isNew && !closing.signal.aborted) onState(next);
  }

  async function run(): Promise<void> {
    for (let failures = 0; !closing.signal.aborted; failures++) {
      if (await serveOnce()) failures = 0;
      await sleep(backoffMs(failures), closing.signal);
    }
  }

  /** Resolves when the connection is lost, with whether it lasted. */
  async function serveOnce(): Promise<boolean> {
    const controller = new AbortController();
    const { signal } = controller;
    ending = controller;
    let hasLasted = false;

    function onLost(error: unknown): void {
      // At once, as what is in flight fails now. A connection that was ended before is not the current one.
      if (!signal.aborted) session = undefined;
      controller.abort(error);
    }

    try {
      const connection = await within(ANSWER_TIMEOUT_MS, connect(signal, onLost));
      for (;;) {
        const memory = await within(ANSWER_TIMEOUT_MS, readMemory(connection, nowSeconds));
        session ??= { connection, memory };
        if (session.memory.id !== memory.id) session.memory = memory;
        enter({ kind: 'connected' });
        await sleep(PROBE_INTERVAL_MS, signal);
        signal.throwIfAborted();
        hasLasted = true;
      }
    } catch (error) {
      enter({ kind: 'disconnected', problem: describeError(signal.aborted ? signal.reason : error) });
      return hasLasted;
    } finally {
      session = undefined;
      controller.abort();
    }
  }

  void run();
  return {
    session: () => session,
    state: () => state,
    attempted,
    close() {
      closing.abort();
      ending.abort();
    },
  };
}

/** `connected`, `connecting`, or `disconnected` with the problem in brackets. */
export function describeState(state: StoreState): string {
  return state.kind === 'disconnected' ? `disconnected (${state.problem})` : state.kind;
}

/** Random, as all replicas lose a store at the same time. */
function backoffMs(failures: number): number {
  return Math.min(MAX_BACKOFF_MS, 50 * 2 ** failures) * (0.5 + Math.random() / 2);
}

async function within<T>(timeoutMs: number, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new StoreError(`no answer in ${timeoutMs} ms`)), timeoutMs);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

/** Ends early when the signal is aborted. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
      resolve();
    };
    const timer = setTimeout(wake, ms);
    if (signal.aborted) wake();
    else signal.addEventListener('abort', wake);
  });
}
