/** Owns the proof that keys of files and keys at URLs serve as one keyset, through configuration changes and outages. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { selectKeys } from '../../../src/approov/keyset.ts';
import { Secret } from '../../../src/approov/secret.ts';
import type { KeyConfig } from '../../../src/config/config.ts';
import type { LoadedKey } from '../../../src/sources/config-store.ts';
import { keysOfSecret } from '../../../src/sources/key-parser.ts';
import { createKeyStore, fetchKeyset, type KeyStore } from '../../../src/sources/key-store.ts';
import { createCa, issueCertificate } from '../../support/certificate.ts';
import { type KeyHost, startKeyHost } from '../../support/key-host.ts';
import { createKeyPair, jwkSet } from '../../support/key-pair.ts';
import { SECRET } from '../../support/token.ts';

const folder = mkdtempSync(join(tmpdir(), 'key-store-'));
const certificate = issueCertificate(folder, 'localhost', createCa(folder, 'ca'));
afterAll(() => rmSync(folder, { recursive: true }));

const PATIENCE = { timeout: 20_000, interval: 10 };
/** For a request that must not come, to come. */
const LONG_ENOUGH_MS = 300;

const a = createKeyPair('a');
const b = createKeyPair('b');

let host: KeyHost;
let store: KeyStore | undefined;
let events: string[];
let clockMs: number;
beforeEach(async () => {
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  vi.spyOn(process, 'emitWarning').mockReturnValue();
  host = await startKeyHost(certificate, jwkSet(a));
  events = [];
  clockMs = 0;
});
afterEach(async () => {
  store?.stop();
  store = undefined;
  await host.close();
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

function urlKey(id: string, fields: Partial<KeyConfig> = {}): LoadedKey {
  return {
    source: {
      id,
      format: 'jwks',
      location: { url: `${host.origin}/${id}`, caFile: undefined },
      kid: undefined,
      algorithms: undefined,
      hosts: undefined,
      path: 'keys[0].jwksUrl',
      ...fields,
    },
    keys: undefined,
    warnings: [],
    ca: undefined,
  };
}

function secretKey(id: string): LoadedKey {
  const source: KeyConfig = { ...urlKey(id).source, format: 'secret', location: { file: 'secret' } };
  return { source, ...keysOfSecret(source, Secret.parse(SECRET)), ca: undefined };
}

function open(...keys: readonly LoadedKey[]): KeyStore {
  store = createKeyStore({
    keys,
    proxy: undefined,
    onFetched: (outcome, isNew) => events.push(isNew ? `${outcome}, new` : outcome),
    nowMs: () => clockMs,
  });
  return store;
}

function ids(of: KeyStore): readonly string[] {
  return of.keyset().keys.map(({ id, kid }) => (kid === undefined ? id : `${id}:${kid}`));
}

function missing(of: KeyStore): readonly string[] {
  return of.keyset().missing.map(({ id }) => id);
}

describe('the keyset', () => {
  test('has the keys of files at once, and those of URLs when they have come, in the order of the configuration', async () => {
    host.answer(jwkSet(a, b));
    const opened = open(urlKey('remote'), secretKey('local'));
    expect([ids(opened), missing(opened)]).toEqual([['local'], ['remote']]);
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:a', 'remote:b', 'local']), PATIENCE);
    expect(missing(opened)).toEqual([]);
    expect(events).toEqual(['success, new']);
  });

  test('keeps what a URL gave through an outage, and says what is wrong and how old it is', async () => {
    const opened = open(urlKey('remote'));
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:a']), PATIENCE);
    host.answer('{"keys":[]}');
    clockMs = 60_000;
    opened.refetch();
    await vi.waitFor(() => expect(events).toEqual(['success, new', 'failure']), PATIENCE);
    expect(ids(opened)).toEqual(['remote:a']);
    expect([...opened.problems()]).toEqual([['remote', 'holds no key that may verify a token']]);
    expect([...opened.ages()]).toEqual([['remote', 60]]);
  });

  test('forgets a key that its URL gives no more', async () => {
    host.answer(jwkSet(a, b));
    const opened = open(urlKey('remote'));
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:a', 'remote:b']), PATIENCE);
    host.answer(jwkSet(b));
    opened.refetch();
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:b']), PATIENCE);
  });

  test('holds a key of a URL for its hosts only, loaded or not', async () => {
    const opened = open(urlKey('remote', { hosts: ['*.eu.example.com'] }));
    const select = (name: string) => selectKeys(opened.keyset(), { alg: 'ES256', kid: 'a' }, name);
    expect(select('api.eu.example.com')).toMatchObject({ reason: 'internal_error' });
    expect(select('api.us.example.com')).toMatchObject({ reason: 'unknown_key_id' });
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:a']), PATIENCE);
    expect(select('api.eu.example.com')).toMatchObject({ keys: [{ id: 'remote' }] });
    expect(select('api.us.example.com')).toMatchObject({ reason: 'unknown_key_id' });
  });

  test('asks every URL on an unknown key id, each as often as it allows', async () => {
    const opened = open(urlKey('one'), urlKey('two'));
    await vi.waitFor(() => expect(events).toHaveLength(2), PATIENCE);
    opened.onUnknownKid();
    await vi.waitFor(() => expect(events).toHaveLength(4), PATIENCE);
    expect([...host.requests].sort()).toEqual(['/one', '/one', '/two', '/two']);
    opened.onUnknownKid();
    await sleep(LONG_ENOUGH_MS);
    expect(host.requests).toHaveLength(4);
  });
});

describe('a new configuration', () => {
  test('that says the same of a URL has it not fetched again', async () => {
    const opened = open(urlKey('remote'));
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:a']), PATIENCE);
    opened.replaceKeys([secretKey('local'), urlKey('remote', { path: 'keys[1].jwksUrl' })]);
    expect(ids(opened)).toEqual(['local', 'remote:a']);
    await sleep(LONG_ENOUGH_MS);
    expect(host.requests).toHaveLength(1);
  });

  test.each<[what: string, fields: Partial<KeyConfig>]>([
    ['for other hosts', { hosts: ['api.example.com'] }],
    ['with other algorithms', { algorithms: ['ES256', 'RS256'] }],
  ])(
    'that describes a key %s does not leave it without its set, though the URL is down',
    async (_what, fields) => {
      const opened = open(urlKey('remote'));
      await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:a']), PATIENCE);
      host.answer((response) => response.writeHead(503).end());
      clockMs = 5000;
      opened.replaceKeys([urlKey('remote', fields)]);
      expect([ids(opened), missing(opened), [...opened.ages()]]).toEqual([['remote:a'], [], [['remote', 5]]]);
      await vi.waitFor(
        () => expect(opened.problems().get('remote')).toBe('answers with status 503'),
        PATIENCE,
      );
      expect(ids(opened)).toEqual(['remote:a']);
    },
  );

  test('that gives a key another name keeps its set under the new name', async () => {
    const opened = open(urlKey('remote'));
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:a']), PATIENCE);
    opened.replaceKeys([
      urlKey('renamed', { location: { url: `${host.origin}/remote`, caFile: undefined } }),
    ]);
    expect(ids(opened)).toEqual(['renamed:a']);
  });

  test('that allows a key nothing of its set leaves it without', async () => {
    const opened = open(urlKey('remote'));
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:a']), PATIENCE);
    opened.replaceKeys([urlKey('remote', { algorithms: ['RS256'] })]);
    expect([ids(opened), missing(opened)]).toEqual([[], ['remote']]);
  });

  test('without a key has its URL asked no more, and its keys gone at once', async () => {
    const opened = open(urlKey('remote'), secretKey('local'));
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:a', 'local']), PATIENCE);
    host.answer((response) => response.writeHead(503).end());
    opened.refetch();
    await vi.waitFor(() => expect(events).toEqual(['success, new', 'failure']), PATIENCE);
    opened.replaceKeys([secretKey('local')]);
    expect([ids(opened), [...opened.ages()], [...opened.problems()]]).toEqual([['local'], [], []]);
    opened.refetch();
    clockMs = 90_000;
    opened.onUnknownKid();
    // Longer than until what failed would have been tried again.
    await sleep(2500);
    expect(host.requests).toHaveLength(2);
  });

  test('with a new URL has that one fetched, and does not wait for it', async () => {
    const opened = open(secretKey('local'));
    opened.replaceKeys([secretKey('local'), urlKey('remote')]);
    expect([ids(opened), missing(opened)]).toEqual([['local'], ['remote']]);
    await vi.waitFor(() => expect(ids(opened)).toEqual(['local', 'remote:a']), PATIENCE);
  });
});

describe('fetchKeyset', () => {
  test('waits for each URL, and gives what there is', async () => {
    host.answer((response, { url }) =>
      url === '/good' ? response.end(jwkSet(b)) : response.writeHead(404).end(),
    );
    const { keyset, problems } = await fetchKeyset(
      [urlKey('good'), secretKey('local'), urlKey('bad')],
      undefined,
    );
    expect(keyset.keys.map(({ id }) => id)).toEqual(['good', 'local']);
    expect(keyset.missing.map(({ id }) => id)).toEqual(['bad']);
    expect([...problems]).toEqual([['bad', 'answers with status 404']]);
    await sleep(1500);
    expect(host.requests).toEqual(['/good', '/bad']);
  });
});
