/** Tests that a JWK Set is fetched from its URL over https only, within limits, and survives an outage. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { KeyError } from '../../../src/approov/key-error.ts';
import { createRemoteJwks, type RemoteJwks } from '../../../src/sources/remote-jwks.ts';
import { createCa, issueCertificate } from '../../support/certificate.ts';
import { type KeyHost, redirectTo, startKeyHost } from '../../support/key-host.ts';
import { PATIENCE } from '../../support/patience.ts';

const folder = mkdtempSync(join(tmpdir(), 'jwks-url-'));
const certificate = issueCertificate(folder, 'localhost', createCa(folder, 'ca'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Time for an unwanted request to arrive; shorter than until a retry. */
const LONG_ENOUGH_MS = 300;

let host: KeyHost;
let clockMs: number;
let urls: RemoteJwks<string>[];
let outcomes: string[];
let errors: unknown[];
beforeEach(async () => {
  // A process reads its CAs once, at its start: that certificates are checked is proved by those that run alone.
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  vi.spyOn(process, 'emitWarning').mockReturnValue();
  host = await startKeyHost(certificate);
  clockMs = 0;
  urls = [];
  outcomes = [];
  errors = [];
});
afterEach(async () => {
  for (const url of urls) url.stop();
  await host.close();
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

/** Stands in for parsing keys; `bug` is a fault of the parser. */
function parse(text: string): string {
  if (text.startsWith('bad')) throw new KeyError('the text is bad');
  if (text === 'bug') throw new TypeError(`bug: ${text}`);
  return `made of ${text}`;
}

function start(
  path = '/jwks',
  fields: { previous?: { fetched: { text: string; atMs: number }; value: undefined } } = {},
): RemoteJwks<string> {
  const url = createRemoteJwks({
    url: path.startsWith('/') ? `${host.origin}${path}` : path,
    options: { ca: undefined, proxy: undefined },
    parse,
    onFetched: (outcome, isNew) => outcomes.push(isNew ? `${outcome}, new` : outcome),
    onError: (error) => errors.push(error),
    nowMs: () => clockMs,
    ...fields,
  });
  urls.push(url);
  return url;
}

/** Starts, and waits for the first fetch to end. */
async function fetched(path = '/jwks'): Promise<RemoteJwks<string>> {
  const url = start(path);
  await url.refetch();
  return url;
}

describe('a set', () => {
  test('is available after the first fetch, and ages from then on', async () => {
    host.answer('one');
    const url = start();
    expect([url.value, url.problem, url.ageSeconds()]).toEqual([undefined, undefined, undefined]);
    await url.refetch();
    clockMs += 90_000;
    expect([url.value, url.problem, url.ageSeconds()]).toEqual(['made of one', undefined, 90]);
    expect(outcomes).toEqual(['success, new']);
    expect(host.requests).toEqual(['/jwks']);
  });

  test('that has not changed is not new, but its age restarts', async () => {
    host.answer('one');
    const url = await fetched();
    clockMs += 90_000;
    await url.refetch();
    expect([url.value, url.ageSeconds()]).toEqual(['made of one', 0]);
    expect(outcomes).toEqual(['success, new', 'success']);
  });

  test('that has changed replaces the old one', async () => {
    host.answer('one');
    const url = await fetched();
    host.answer('two');
    await url.refetch();
    expect(url.value).toBe('made of two');
    expect(outcomes).toEqual(['success, new', 'success, new']);
  });

  test('is fetched once for concurrent requests', async () => {
    host.answer('one');
    const url = start();
    await Promise.all([url.refetch(), url.refetch(), url.refetch()]);
    expect(host.requests).toHaveLength(1);
  });

  test('that an earlier instance fetched is used until the next fetch', async () => {
    host.answer('two');
    clockMs = 60_000;
    const url = start('/jwks', { previous: { fetched: { text: 'one', atMs: 0 }, value: undefined } });
    expect([url.value, url.ageSeconds()]).toEqual(['made of one', 60]);
    await url.refetch();
    expect([url.value, url.ageSeconds()]).toEqual(['made of two', 0]);
  });

  test('that an earlier instance fetched is not used if it does not suit this key', async () => {
    host.answer('one');
    const url = start('/jwks', { previous: { fetched: { text: 'bad', atMs: 0 }, value: undefined } });
    expect([url.value, url.ageSeconds()]).toEqual([undefined, undefined]);
    await url.refetch();
    expect(url.value).toBe('made of one');
  });
});

describe('an outage', () => {
  test.each<[name: string, breakIt: () => unknown, problem: string]>([
    [
      'with status 500',
      () => host.answer((response) => response.writeHead(500).end()),
      'answers with status 500',
    ],
    [
      'with status 304',
      () => host.answer((response) => response.writeHead(304).end()),
      'answers with status 304',
    ],
    ['with an unusable text', () => host.answer('bad'), 'the text is bad'],
    ['with a truncated response', () => host.answer(breakOff), 'connection closed by peer (UND_ERR_SOCKET)'],
    ['with a refused connection', () => host.close(), 'connection refused (ECONNREFUSED)'],
  ])('%s keeps the last good set', async (_name, breakIt, problem) => {
    host.answer('one');
    const url = await fetched();
    await breakIt();
    clockMs += 5000;
    await url.refetch();
    expect([url.value, url.problem, url.ageSeconds()]).toEqual(['made of one', problem, 5]);
    expect(outcomes).toEqual(['success, new', 'failure']);
  });

  const breakOff = (response: import('node:http').ServerResponse): void => {
    response.writeHead(200, { 'content-length': '100' }).write('one', () => response.destroy());
  };

  test('ends with the next good response, even if the set is the same as before', async () => {
    host.answer('one');
    const url = await fetched();
    host.answer('bad');
    await url.refetch();
    host.answer('one');
    await url.refetch();
    expect([url.value, url.problem]).toEqual(['made of one', undefined]);
    expect(outcomes).toEqual(['success, new', 'failure', 'success']);
  });

  test('at start is retried', async () => {
    host.answer((response) => response.writeHead(503).end());
    const url = await fetched();
    expect([url.value, url.problem]).toEqual([undefined, 'answers with status 503']);
    host.answer('one');
    await vi.waitFor(() => expect(url.value).toBe('made of one'), PATIENCE);
    expect(url.problem).toBeUndefined();
  });

  test('caused by a bug keeps the last good set and reports the error, but not its message', async () => {
    host.answer('one');
    const url = await fetched();
    host.answer('bug');
    await url.refetch();
    expect([url.value, url.problem]).toEqual(['made of one', 'internal error']);
    expect(errors).toEqual([new TypeError('bug: bug')]);
    expect(outcomes).toEqual(['success, new', 'failure']);
  });

  test('by an untrusted certificate yields no set', async () => {
    vi.unstubAllEnvs();
    host.answer('one');
    const url = await fetched();
    expect(url.value).toBeUndefined();
    expect(url.problem).toMatch(
      /^the certificate is not from a trusted authority \((UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN)\)$/,
    );
    expect(host.requests).toEqual([]);
  });
});

describe('the limits', () => {
  test('allow a set of 1 MiB', async () => {
    host.answer('x'.repeat(1024 * 1024));
    expect((await fetched()).value).toHaveLength('made of '.length + 1024 * 1024);
  });

  test('refuse a larger set, and stop reading it', async () => {
    let written = 0;
    const isCut = new Promise<void>((resolve) => {
      host.answer((response) => {
        const more = setInterval(() => {
          written += 1;
          response.write(Buffer.alloc(64 * 1024));
        }, 1);
        response.on('close', () => {
          clearInterval(more);
          resolve();
        });
      });
    });
    expect((await fetched()).problem).toBe('is over 1048576 bytes');
    await isCut;
    expect(written).toBeGreaterThan(16);
  });

  test('end a fetch after 5 s, whether the response never comes or trickles in', async () => {
    const dripping = await startKeyHost(certificate, (response) => {
      const drip = setInterval(() => response.write('x'), 100);
      response.on('close', () => clearInterval(drip));
    });
    host.answer(() => {});
    const both = await Promise.all([fetched(), fetched(dripping.origin)]);
    expect(both.map(({ problem }) => problem)).toEqual(['no answer in 5000 ms', 'no answer in 5000 ms']);
    await dripping.close();
  });
});

describe('a redirect', () => {
  let plain: Server;
  let plainRequests: number;
  beforeEach(async () => {
    plainRequests = 0;
    plain = createServer((_request, response) => {
      plainRequests += 1;
      response.end('from plain http');
    }).listen(0, '127.0.0.1');
    await once(plain, 'listening');
  });
  afterEach(() => new Promise((done) => plain.close(done)));

  test('to https is followed, to another host too', async () => {
    const other = await startKeyHost(certificate, 'other');
    host.answer(redirectTo(`${other.origin}/keys`));
    expect((await fetched()).value).toBe('made of other');
    expect(other.requests).toEqual(['/keys']);
    await other.close();
  });

  test('without a host stays on the same host', async () => {
    host.answer((response, { url }) =>
      url === '/jwks' ? redirectTo('keys?v=2', 307)(response, {} as never) : response.end('here'),
    );
    expect((await fetched()).value).toBe('made of here');
    expect(host.requests).toEqual(['/jwks', '/keys?v=2']);
  });

  test.each([301, 302, 303, 307, 308])('to http is refused (%i), and not requested', async (status) => {
    host.answer(redirectTo(`http://127.0.0.1:${(plain.address() as AddressInfo).port}/`, status));
    const url = await fetched();
    expect([url.value, url.problem]).toEqual([undefined, 'redirects away from https']);
    expect(plainRequests).toBe(0);
  });

  test('to http after one to https is refused', async () => {
    host.answer((response, { url }) =>
      redirectTo(url === '/jwks' ? '/next' : `http://127.0.0.1:${(plain.address() as AddressInfo).port}/`)(
        response,
        {} as never,
      ),
    );
    expect((await fetched()).problem).toBe('redirects away from https');
    expect(plainRequests).toBe(0);
  });

  test.each(['file:///etc/hostname', 'data:application/json,{}', 'ftp://localhost/'])(
    'to %s is refused',
    async (location) => {
      host.answer(redirectTo(location));
      expect((await fetched()).problem).toBe('redirects away from https');
    },
  );

  test('with a password is refused, and the password is not quoted', async () => {
    host.answer(redirectTo('https://somebody:hunter2@localhost/'));
    expect((await fetched()).problem).toBe('contains a user name or a password');
  });

  test('is followed at most three times', async () => {
    const hops = (last: number): void =>
      host.answer((response, { url }) => {
        const hop = Number(url?.slice('/jwks'.length) || 0);
        if (hop === last) response.end('found');
        else redirectTo(`/jwks${hop + 1}`)(response, {} as never);
      });
    hops(3);
    expect((await fetched()).value).toBe('made of found');
    hops(4);
    expect((await fetched()).problem).toBe('redirects more than 3 times');
  });

  test('without a location is reported as its status', async () => {
    host.answer((response) => response.writeHead(302).end());
    expect((await fetched()).problem).toBe('answers with status 302');
  });
});

describe('an unknown key id', () => {
  test('triggers a fetch, however young the set is, but at most one in 30 s', async () => {
    host.answer('one');
    const url = await fetched();
    host.answer('two');
    url.onUnknownKid();
    await vi.waitFor(() => expect(url.value).toBe('made of two'), PATIENCE);
    clockMs = 29_999;
    url.onUnknownKid();
    await sleep(LONG_ENOUGH_MS);
    expect(host.requests).toHaveLength(2);
    clockMs = 30_000;
    host.answer('three');
    url.onUnknownKid();
    await vi.waitFor(() => expect(url.value).toBe('made of three'), PATIENCE);
    expect(host.requests).toHaveLength(3);
  });

  test('during the first fetch does not use up the next one', async () => {
    let release = (): void => {};
    host.answer((response) => {
      release = () => response.end('one');
    });
    const url = start();
    await vi.waitFor(() => expect(host.requests).toHaveLength(1), PATIENCE);
    url.onUnknownKid();
    release();
    await vi.waitFor(() => expect(url.value).toBe('made of one'), PATIENCE);
    host.answer('two');
    await vi.waitFor(() => {
      url.onUnknownKid();
      expect(url.value).toBe('made of two');
    }, PATIENCE);
    expect(host.requests).toHaveLength(2);
  });

  test('triggers one fetch, however many there are, and however slow the host is', async () => {
    host.answer('one');
    const url = await fetched();
    let release = (): void => {};
    host.answer((response) => {
      release = () => response.end('two');
    });
    for (clockMs = 30_000; clockMs < 31_000; clockMs += 1) url.onUnknownKid();
    await vi.waitFor(() => expect(host.requests).toHaveLength(2), PATIENCE);
    clockMs = 90_000;
    url.onUnknownKid();
    expect(url.value).toBe('made of one');
    release();
    await vi.waitFor(() => expect(url.value).toBe('made of two'), PATIENCE);
    expect(host.requests).toHaveLength(2);
  });

  test('triggers no more fetches while they fail', async () => {
    host.answer('one');
    const url = await fetched();
    host.answer('bad');
    clockMs = 30_000;
    url.onUnknownKid();
    await vi.waitFor(() => expect(url.problem).toBe('the text is bad'), PATIENCE);
    const before = host.requests.length;
    clockMs = 59_999;
    url.onUnknownKid();
    await sleep(LONG_ENOUGH_MS);
    expect(host.requests).toHaveLength(before);
  });
});

test('once stopped, nothing is fetched or reported', async () => {
  host.answer((response) => response.writeHead(503).end());
  const url = await fetched();
  let release = (): void => {};
  host.answer((response) => {
    release = () => response.writeHead(503).end();
  });
  const last = url.refetch();
  await vi.waitFor(() => expect(host.requests).toHaveLength(2), PATIENCE);
  url.stop();
  release();
  await last;
  expect(outcomes).toEqual(['failure']);
  // Longer than until the next try, had it not been stopped.
  await sleep(3000);
  expect(host.requests).toHaveLength(2);
});
