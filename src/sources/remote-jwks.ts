/** Fetches a JWK Set from its URL in the background and keeps the last good set through outages; no check waits for it. */
import { KeyError } from '../approov/key-error.ts';
import { FetchError, type FetchOptions, fetchText } from './https-client.ts';

/** The age at which a set is fetched again. */
const REFRESH_MS = 10 * 60 * 1000;
/** Between two fetches for unknown key ids. */
const COOLDOWN_MS = 30_000;
const MIN_RETRY_MS = 1000;
const MAX_RETRY_MS = 30_000;

interface FetchedSet {
  readonly text: string;
  /** By the clock of {@link RemoteJwksOptions}. */
  readonly atMs: number;
}

export interface RemoteJwks<T> {
  /** Parsed from `fetched`; `undefined` until a fetch succeeds. */
  readonly value: T | undefined;
  /** The last good set. */
  readonly fetched: FetchedSet | undefined;
  /** Since the last successful fetch; `undefined` before the first. */
  ageSeconds(): number | undefined;
  /** Why the last fetch failed; `undefined` if it succeeded. */
  readonly problem: string | undefined;
  /** Fetches the set, which lacks the key of a token, at most once in 30 s. */
  onUnknownKid(): void;
  /** Fetches now. */
  refetch(): Promise<void>;
  stop(): void;
}

export interface RemoteJwksOptions<T> {
  readonly url: string;
  readonly options: FetchOptions;
  /** What an earlier instance fetched from the same URL, to use until the first fetch succeeds. */
  readonly previous?: { readonly fetched: FetchedSet; readonly value: T | undefined } | undefined;
  /**
   * @param last the value so far.
   * @throws {KeyError} the text cannot be used.
   */
  readonly parse: (text: string, last: T | undefined) => T;
  /** A fetch has ended; `isNew`: with another set than before. */
  readonly onFetched: (outcome: 'success' | 'failure', isNew: boolean) => void;
  /** A bug; fetching goes on. */
  readonly onError: (error: unknown) => void;
  /** A monotonic clock. */
  readonly nowMs: () => number;
}

/** Fetches immediately, then repeatedly until it is stopped. */
export function createRemoteJwks<T>({
  url,
  options,
  previous,
  parse,
  onFetched,
  onError,
  nowMs,
}: RemoteJwksOptions<T>): RemoteJwks<T> {
  let { fetched, value } = reuse(previous, parse);
  let problem: string | undefined;
  let unknownKidAtMs = Number.NEGATIVE_INFINITY;
  let failures = 0;
  let isStopped = false;
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  async function fetchOnce(): Promise<void> {
    try {
      const text = await fetchText(url, options);
      const isNew = text !== fetched?.text;
      if (isNew) value = parse(text, value);
      fetched = { text, atMs: nowMs() };
      problem = undefined;
      failures = 0;
      if (!isStopped) onFetched('success', isNew);
    } catch (error) {
      const isExpected = error instanceof FetchError || error instanceof KeyError;
      problem = isExpected ? error.message : 'internal error';
      failures++;
      if (!isExpected) onError(error);
      if (!isStopped) onFetched('failure', false);
    }
    schedule(failures === 0 ? REFRESH_MS : Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** (failures - 1)));
  }

  function schedule(delayMs: number): void {
    clearTimeout(timer);
    if (!isStopped) timer = setTimeout(refetch, delayMs).unref();
  }

  function refetch(): Promise<void> {
    running ??= fetchOnce().finally(() => {
      running = undefined;
    });
    return running;
  }

  void refetch();
  return {
    get value() {
      return value;
    },
    get fetched() {
      return fetched;
    },
    get problem() {
      return problem;
    },
    ageSeconds: () => (fetched === undefined ? undefined : (nowMs() - fetched.atMs) / 1000),
    onUnknownKid() {
      if (running !== undefined || nowMs() - unknownKidAtMs < COOLDOWN_MS) return;
      unknownKidAtMs = nowMs();
      void refetch();
    },
    refetch,
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}

/** Nothing if the set cannot be used with this configuration: the first fetch reports why. */
function reuse<T>(
  previous: RemoteJwksOptions<T>['previous'],
  parse: RemoteJwksOptions<T>['parse'],
): { fetched: FetchedSet | undefined; value: T | undefined } {
  if (previous === undefined) return { fetched: undefined, value: undefined };
  try {
    return { fetched: previous.fetched, value: parse(previous.fetched.text, previous.value) };
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    return { fetched: undefined, value: undefined };
  }
}
