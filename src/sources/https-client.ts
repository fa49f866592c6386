/** Fetches a text over https, within limits of time and size, and through a proxy where one is named. */
import type { HttpProxy } from '../config/config.ts';

const FETCH_TIMEOUT_MS = 5000;
const MAX_BYTES = 1024 * 1024;
const MAX_REDIRECTS = 3;
/** RFC 7517 §8.5.2, and what most hosts say; some answer 406 to a client that accepts only the other. */
const ACCEPT = 'application/jwk-set+json, application/json';

export interface FetchOptions {
  /** PEM; the only certificate authorities that are trusted. `undefined`: those that Node trusts. */
  readonly ca: string | undefined;
  readonly proxy: HttpProxy | undefined;
}

/** An answer that is not what was asked for. */
class FetchError extends Error {
  override readonly name = 'FetchError';
}

/** Follows redirects, but only to https, since anybody on the way could answer in place of an http host. */
export async function fetchText(url: string, { ca, proxy }: FetchOptions): Promise<string> {
  // Loaded only where it is needed. Node's own fetch takes no CA and, in Node 20, no proxy.
  const { EnvHttpProxyAgent, fetch } = await import('undici');
  const dispatcher = new EnvHttpProxyAgent({
    // Empty, as it would read the environment in place of what is not given.
    httpProxy: '',
    httpsProxy: proxy?.url ?? '',
    noProxy: proxy?.except ?? '',
    ...(ca === undefined ? {} : { connect: { ca }, requestTls: { ca } }),
  });
  try {
    const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
    let location = url;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      // fetch would refuse it too, and quote it.
      if (hasCredentials(location)) throw new FetchError('holds a user name or a password');
      const headers = { accept: ACCEPT };
      const response = await fetch(location, { redirect: 'manual', signal, headers, dispatcher });
      const next = response.headers.get('location');
      if (response.status >= 300 && response.status < 400 && next !== null) {
        location = new URL(next, location).href;
        if (!location.startsWith('https:')) throw new FetchError('redirects away from https');
        await response.body?.cancel();
        continue;
      }
      if (response.status !== 200) throw new FetchError(`answers with status ${response.status}`);
      return await readLimited(response.body ?? []);
    }
    throw new FetchError(`redirects more than ${MAX_REDIRECTS} times`);
  } finally {
    // The next fetch is minutes away.
    await dispatcher.destroy();
  }
}

/** In one line; holds nothing of the URL, of the proxy's URL, or of the answer. */
export function describeFetchError(error: unknown, { proxy }: FetchOptions): string {
  const { name, message } = error as Error;
  if (name === 'TimeoutError') return `no answer in ${FETCH_TIMEOUT_MS} ms${hintAt(proxy)}`;
  const cause = innermostCause(error as Error);
  if (cause === error) return message;
  // undici has one code for whatever ends a request, and the status in the message alone.
  const refusal = /^Proxy response \((\d+)\)/.exec(cause.message)?.[1];
  if (refusal !== undefined) return `the proxy answers with status ${refusal}`;
  return `${(cause as NodeJS.ErrnoException).code ?? cause.message}${hintAt(proxy)}`;
}

function innermostCause(error: Error): Error {
  return error.cause instanceof Error ? innermostCause(error.cause) : error;
}

function hintAt(proxy: HttpProxy | undefined): string {
  return proxy === undefined ? '' : ' (HTTPS_PROXY is set)';
}

function hasCredentials(url: string): boolean {
  const { username, password } = new URL(url);
  return username !== '' || password !== '';
}

async function readLimited(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > MAX_BYTES) throw new FetchError(`is over ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}
