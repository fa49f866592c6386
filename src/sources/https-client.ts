/** Fetches a text over https, with limits on time, size and redirects, and through a proxy if one is configured. */
import type { HttpProxy } from '../config/config.ts';
import { hasCredentials } from '../config/url.ts';
import { describeConnectionError, innermostCause } from './connection-problem.ts';

const FETCH_TIMEOUT_MS = 5000;
const MAX_BYTES = 1024 * 1024;
const MAX_REDIRECTS = 3;
/** RFC 7517 §8.5.2, and what most hosts send; some answer 406 unless their own type is accepted. */
const ACCEPT = 'application/jwk-set+json, application/json';

export interface FetchOptions {
  /** PEM: the only trusted certificate authorities. `undefined`: those of Node. */
  readonly ca: string | undefined;
  readonly proxy: HttpProxy | undefined;
}

/** A failed fetch. The message is one line, and quotes nothing of the URL, the proxy's URL or the response. */
export class FetchError extends Error {
  override readonly name = 'FetchError';
}

/**
 * Follows redirects, but only to https: anyone on the network path could answer for an http host.
 * @throws {FetchError}
 */
export async function fetchText(url: string, options: FetchOptions): Promise<string> {
  try {
    return await fetchWithLimits(url, options);
  } catch (error) {
    if (error instanceof FetchError) throw error;
    throw new FetchError(describe(error as Error, options), { cause: error });
  }
}

async function fetchWithLimits(url: string, { ca, proxy }: FetchOptions): Promise<string> {
  // Loaded only if needed. Node's own fetch has no option for a CA and, in Node 20, none for a proxy.
  const { EnvHttpProxyAgent, fetch } = await import('undici');
  const dispatcher = new EnvHttpProxyAgent({
    // Empty, not undefined: then it would read the environment.
    httpProxy: '',
    httpsProxy: proxy?.url ?? '',
    noProxy: proxy?.except ?? '',
    ...(ca === undefined ? {} : { connect: { ca }, requestTls: { ca } }),
  });
  try {
    const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
    let location = url;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      // fetch refuses such a URL too, but quotes it.
      if (hasCredentials(location)) throw new FetchError('contains a user name or a password');
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
    // Closed: the next fetch is minutes away.
    await dispatcher.destroy();
  }
}

function describe(error: Error, { proxy }: FetchOptions): string {
  const { name, message } = error;
  if (name === 'TimeoutError') return `no answer in ${FETCH_TIMEOUT_MS} ms${proxyHint(proxy)}`;
  const cause = innermostCause(error);
  if (cause === error) return message;
  // undici has one code for all of these, and the status in the message only.
  const proxyStatus = /^Proxy response \((\d+)\)/.exec(cause.message)?.[1];
  if (proxyStatus !== undefined) return `the proxy answers with status ${proxyStatus}`;
  return `${describeConnectionError(cause)}${proxyHint(proxy)}`;
}

function proxyHint(proxy: HttpProxy | undefined): string {
  return proxy === undefined ? '' : ' (HTTPS_PROXY is set)';
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
