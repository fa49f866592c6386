/** Owns a JWK Set that lives at a URL: fetched in the background, kept through outages, never waited for by a check. */
import { describeFetchError, type FetchOptions, fetchText } from './https-client.ts';

/** How old a set may grow before it is fetched again. */
const REFRESH_MS = 10 * 60 * 1000;
/** Between two fetches that unknown key ids ask for. */
const COOLDOWN_MS = 30_000;
const MIN_RETRY_MS = 1000;
const MAX_RETRY_MS = 30_000;

/** A good set as it was fetched, and when by the clock of {@link RemoteJwksOptions}. */
export interface FetchedSet {
  readonly text: string;
  readonly atMs: number;
}

export interface RemoteJwks<T> {
  /** What the last good set was made into; `undefined` until one has loaded. */
  readonly value: T | undefined;
  /** What `value` was made of. */
  readonly fetched: FetchedSet | undefined;
  /** Since the last good fetch; `undefined` before it. */
  ageSeconds(): number | undefined;
  /** Why the last fetch failed; `undefined` if it did not. */
  readonly problem: string | undefined;
  /** A token named a key that is not in the set: fetches it anew, at most once in 30 s. */
  onUnknownKid(): void;
  /** Fetches now. */
  refetch(): Promise<void>;
  stop(): void;
}

interface RemoteJwksOptions<T> {
  readonly url: string;
  readonly options: FetchOptions;
  /** What the URL gave before, to serve until it is asked again. */
  readonly fetched?: FetchedSet | undefined;
  /** @throws an error that says what is wrong with the text. */
  readonly parse: (text: string) => T;
  /** A fetch has ended; `isNew`: with another set than before. */
  readonly onFetched: (outcome: 'success' | 'failure', isNew: boolean) => void;
  /** Milliseconds of a clock that does not go back. */
  readonly nowMs: () => number;
}

/** Starts to fetch, and again and again until it is stopped. */
export function createRemoteJwks<T>({
  url,
  options,
  fetched: before,
  parse,
  onFetched,
  nowMs,
}: RemoteJwksOptions<T>): RemoteJwks<T> {
  let fetched: FetchedSet | undefined;
  let value: T | undefined;
  let problem: string | undefined;
  let askedForAtMs = Number.NEGATIVE_INFINITY;
  let failures = 0;
  let isStopped = false;
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  async function fetchOnce(): Promise<void> {
    try {
      const text = await fetchText(url, options);
      const isNew = text !== fetched?.text;
      if (isNew) value = parse(text);
      fetched = { text, atMs: nowMs() };
      problem = undefined;
      failures = 0;
      if (!isStopped) onFetched('success', isNew);
    } catch (error) {
      problem = describeFetchError(error, options);
      failures++;
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

  if (before !== undefined) {
    try {
      value = parse(before.text);
      fetched = before;
    } catch {
      // The fetch that begins now says what is wrong with it.
    }
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
      if (running !== undefined || nowMs() - askedForAtMs < COOLDOWN_MS) return;
      askedForAtMs = nowMs();
      void refetch();
    },
    refetch,
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
