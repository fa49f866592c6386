/** Owns the proof that a JWK Set at a URL is fetched within limits, over https alone, and outlives an outage. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createRemoteJwks, type RemoteJwks } from '../../../src/sources/remote-jwks.ts';
import { createCa, issueCertificate } from '../../support/certificate.ts';
import { type KeyHost, redirectTo, startKeyHost } from '../../support/key-host.ts';

const folder = mkdtempSync(join(tmpdir(), 'jwks-url-'));
const certificate = issueCertificate(folder, 'localhost', createCa(folder, 'ca'));
afterAll(() => rmSync(folder, { recursive: true }));

const PATIENCE = { timeout: 20_000, interval: 10 };
/** For a request that must not come, to come; shorter than until a retry. */
const LONG_ENOUGH_MS = 300;

let host: KeyHost;
let clockMs: number;
let urls: RemoteJwks<string>[];
let outcomes: string[];
beforeEach(async () => {
  // A process reads its CAs once, at its start: that certificates are checked is proved by those that run alone.
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  vi.spyOn(process, 'emitWarning').mockReturnValue();
  host = await startKeyHost(certificate);
  clockMs = 0;
  urls = [];
  outcomes = [];
});
afterEach(async () => {
  for (const url of urls) url.stop();
  await host.close();
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

/** What a set is made into here: its text, unless that is `bad`. */
function parse(text: string): string {
  if (text.startsWith('bad')) throw new Error('the text is bad');
  return `made of ${text}`;
}

function start(
  path = '/jwks',
  fields: { fetched?: { text: string; atMs: number } } = {},
): RemoteJwks<string> {
  const url = createRemoteJwks({
    url: path.startsWith('/') ? `${host.origin}${path}` : path,
    options: { ca: undefined, proxy: undefined },
    parse,
    onFetched: (outcome, isNew) => outcomes.push(isNew ? `${outcome}, new` : outcome),
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
  test('is there once it was fetched, and ages from then on', async () => {
    host.answer('one');
    const url = start();
    expect([url.value, url.problem, url.ageSeconds()]).toEqual([undefined, undefined, undefined]);
    await url.refetch();
    clockMs += 90_000;
    expect([url.value, url.problem, url.ageSeconds()]).toEqual(['made of one', undefined, 90]);
    expect(outcomes).toEqual(['success, new']);
    expect(host.requests).toEqual(['/jwks']);
  });

  test('that has not changed is no new one, but a young one', async () => {
    host.answer('one');
    const url = await fetched();
    clockMs += 90_000;
    await url.refetch();
    expect([url.value, url.ageSeconds()]).toEqual(['made of one', 0]);
    expect(outcomes).toEqual(['success, new', 'success']);
  });

  test('that has changed takes the place of the old one', async () => {
    host.answer('one');
    const url = await fetched();
    host.answer('two');
    await url.refetch();
    expect(url.value).toBe('made of two');
    expect(outcomes).toEqual(['success, new', 'success, new']);
  });

  test('is fetched once for all who ask at the same time', async () => {
    host.answer('one');
    const url = start();
    await Promise.all([url.refetch(), url.refetch(), url.refetch()]);
    expect(host.requests).toHaveLength(1);
  });

  test('that was fetched before serves until it is fetched again', async () => {
    host.answer('two');
    clockMs = 60_000;
    const url = start('/jwks', { fetched: { text: 'one', atMs: 0 } });
    expect([url.value, url.ageSeconds()]).toEqual(['made of one', 60]);
    await url.refetch();
    expect([url.value, url.ageSeconds()]).toEqual(['made of two', 0]);
  });

  test('that was fetched before and is bad to this key serves nothing', async () => {
    host.answer('one');
    const url = start('/jwks', { fetched: { text: 'bad', atMs: 0 } });
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
    ['with a text that is bad', () => host.answer('bad'), 'the text is bad'],
    ['with an answer that breaks off', () => host.answer(breakOff), 'UND_ERR_SOCKET'],
    ['with nobody there', () => host.close(), 'ECONNREFUSED'],
  ])('%s leaves the last good set', async (_name, breakIt, problem) => {
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

  test('is over with the next good answer, though it is the same as before', async () => {
    host.answer('one');
    const url = await fetched();
    host.answer('bad');
    await url.refetch();
    host.answer('one');
    await url.refetch();
    expect([url.value, url.problem]).toEqual(['made of one', undefined]);
    expect(outcomes).toEqual(['success, new', 'failure', 'success']);
  });

  test('at the start is tried again by itself', async () => {
    host.answer((response) => response.writeHead(503).end());
    const url = await fetched();
    expect([url.value, url.problem]).toEqual([undefined, 'answers with status 503']);
    host.answer('one');
    await vi.waitFor(() => expect(url.value).toBe('made of one'), PATIENCE);
    expect(url.problem).toBeUndefined();
  });

  test('by a certificate that nobody we trust has signed gives no set', async () => {
    vi.unstubAllEnvs();
    host.answer('one');
    const url = await fetched();
    expect(url.value).toBeUndefined();
    expect(url.problem).toMatch(/^(UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN)$/);
    expect(host.requests).toEqual([]);
  });
});

describe('the limits', () => {
  test('let a set of 1 MiB pass', async () => {
    host.answer('x'.repeat(1024 * 1024));
    expect((await fetched()).value).toHaveLength('made of '.length + 1024 * 1024);
  });

  test('refuse a larger one, and stop reading it', async () => {
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

  test('end a fetch after 5 s, whether it is never answered or byte by byte', async () => {
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

  test('without a host stays on this one', async () => {
    host.answer((response, { url }) =>
      url === '/jwks' ? redirectTo('keys?v=2', 307)(response, {} as never) : response.end('here'),
    );
    expect((await fetched()).value).toBe('made of here');
    expect(host.requests).toEqual(['/jwks', '/keys?v=2']);
  });

  test.each([301, 302, 303, 307, 308])(
    'to http is refused (%i), and nobody is asked there',
    async (status) => {
      host.answer(redirectTo(`http://127.0.0.1:${(plain.address() as AddressInfo).port}/`, status));
      const url = await fetched();
      expect([url.value, url.problem]).toEqual([undefined, 'redirects away from https']);
      expect(plainRequests).toBe(0);
    },
  );

  test('to http behind one to https is refused', async () => {
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

  test('with a password is refused, and the password is not repeated', async () => {
    host.answer(redirectTo('https://somebody:hunter2@localhost/'));
    expect((await fetched()).problem).toBe('holds a user name or a password');
  });

  test('is followed three times and no more', async () => {
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

  test('to nowhere is an answer that is no set', async () => {
    host.answer((response) => response.writeHead(302).end());
    expect((await fetched()).problem).toBe('answers with status 302');
  });
});

describe('an unknown key id', () => {
  test('has the set fetched again, however young it is, but at most once in 30 s', async () => {
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

  test('that comes while the set is fetched for the first time does not use up the refetch', async () => {
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

  test('has it fetched once, however many there are, and however slow the host is', async () => {
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

  test('has it fetched no more often while that fails', async () => {
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

test('once it is stopped, nothing is fetched or told', async () => {
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
