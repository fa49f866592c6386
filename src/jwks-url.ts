/** Owns a JWK Set that lives at a URL: fetched in the background, kept through outages, never waited for by a check. */

const FETCH_TIMEOUT_MS = 5000;
const MAX_BYTES = 1024 * 1024;
const MAX_REDIRECTS = 3;
/** How old a set may grow before it is fetched again. */
const REFRESH_MS = 10 * 60 * 1000;
/** Between two fetches that unknown key ids ask for. */
const COOLDOWN_MS = 30_000;
const MIN_RETRY_MS = 1000;
const MAX_RETRY_MS = 30_000;

/** A good set as it was fetched, and when by the clock of {@link JwksUrlOptions}. */
export interface FetchedSet {
  readonly text: string;
  readonly atMs: number;
}

export interface JwksUrl<T> {
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

interface JwksUrlOptions<T> {
  readonly url: string;
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
export function fetchJwks<T>({
  url,
  fetched: before,
  parse,
  onFetched,
  nowMs,
}: JwksUrlOptions<T>): JwksUrl<T> {
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
      const text = await fetchText(url);
      const isNew = text !== fetched?.text;
      if (isNew) value = parse(text);
      fetched = { text, atMs: nowMs() };
      problem = undefined;
      failures = 0;
      if (!isStopped) onFetched('success', isNew);
    } catch (error) {
      problem = describeFetchError(error);
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

/** An answer that is no JWK Set in good form. */
class FetchError extends Error {
  override readonly name = 'FetchError';
}

async function fetchText(url: string): Promise<string> {
  const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
  let location = url;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    // fetch would refuse it too, and quote it.
    if (hasCredentials(location)) throw new FetchError('holds a user name or a password');
    // By hand, as fetch would follow a redirect to http, where anybody on the way could give us keys.
    const response = await fetch(location, {
      redirect: 'manual',
      signal,
      headers: { accept: 'application/json' },
    });
    const next = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && next !== null) {
      await response.body?.cancel();
      location = new URL(next, location).href;
      if (!location.startsWith('https:')) throw new FetchError('redirects away from https');
      continue;
    }
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new FetchError(`answers with status ${response.status}`);
    }
    return await readLimited(response);
  }
  throw new FetchError(`redirects more than ${MAX_REDIRECTS} times`);
}

function hasCredentials(url: string): boolean {
  const { username, password } = new URL(url);
  return username !== '' || password !== '';
}

async function readLimited(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_BYTES) throw new FetchError(`is over ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

function describeFetchError(error: unknown): string {
  const { name, message, cause } = error as Error & { cause?: { code?: string; message?: string } };
  if (name === 'TimeoutError') return `no answer in ${FETCH_TIMEOUT_MS} ms`;
  return cause?.code ?? cause?.message ?? message;
}
