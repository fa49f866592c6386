/** Tests that keys from files and from URLs form one keyset, through configuration changes and outages. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { selectKeys } from '../../../src/approov/keyset.ts';
import { Secret } from '../../../src/approov/secret.ts';
import type { KeyConfig } from '../../../src/config/config.ts';
import { keysOfSecret } from '../../../src/sources/key-parser.ts';
import { createKeyStore, fetchKeyset, type KeyStore } from '../../../src/sources/key-store.ts';
import type { LoadedKey } from '../../../src/sources/loaded-config.ts';
import { createCa, issueCertificate } from '../../support/certificate.ts';
import { type KeyHost, startKeyHost } from '../../support/key-host.ts';
import { createKeyPair, jwkSet } from '../../support/key-pair.ts';
import { PATIENCE } from '../../support/patience.ts';
import { SECRET } from '../../support/token.ts';

const folder = mkdtempSync(join(tmpdir(), 'key-store-'));
const certificate = issueCertificate(folder, 'localhost', createCa(folder, 'ca'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Time for an unwanted request to arrive. */
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
    config: {
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
  const config: KeyConfig = { ...urlKey(id).config, format: 'secret', location: { file: 'secret' } };
  return { config, ...keysOfSecret(config, Secret.parse(SECRET)), ca: undefined };
}

function open(...keys: readonly LoadedKey[]): KeyStore {
  store = createKeyStore({
    keys,
    proxy: () => undefined,
    onError(error) {
      throw error;
    },
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
  test('has the keys of files at once, and those of URLs once fetched, in the order of the configuration', async () => {
    host.answer(jwkSet(a, b));
    const opened = open(urlKey('remote'), secretKey('local'));
    expect([ids(opened), missing(opened)]).toEqual([['local'], ['remote']]);
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:a', 'remote:b', 'local']), PATIENCE);
    expect(missing(opened)).toEqual([]);
    expect(events).toEqual(['success, new']);
  });

  test('keeps the keys of a URL through an outage, and reports the problem and their age', async () => {
    const opened = open(urlKey('remote'));
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:a']), PATIENCE);
    host.answer('{"keys":[]}');
    clockMs = 60_000;
    opened.refetch();
    await vi.waitFor(() => expect(events).toEqual(['success, new', 'failure']), PATIENCE);
    expect(ids(opened)).toEqual(['remote:a']);
    expect([...opened.problems()]).toEqual([['remote', 'contains no key that may verify a token']]);
    expect([...opened.ages()]).toEqual([['remote', 60]]);
  });

  test('keeps the key objects, on which the token cache depends, if only the text of a set changed', async () => {
    const opened = open(urlKey('remote'));
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:a']), PATIENCE);
    const [before] = opened.keyset().keys;
    host.answer(`${jwkSet(a)}\n`);
    opened.refetch();
    await vi.waitFor(() => expect(events).toEqual(['success, new', 'success, new']), PATIENCE);
    expect(opened.keyset().keys[0]).toBe(before);
  });

  test('drops a key that its URL no longer has', async () => {
    host.answer(jwkSet(a, b));
    const opened = open(urlKey('remote'));
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:a', 'remote:b']), PATIENCE);
    host.answer(jwkSet(b));
    opened.refetch();
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:b']), PATIENCE);
  });

  test('selects a key of a URL for its hosts only, loaded or not', async () => {
    const opened = open(urlKey('remote', { hosts: ['*.eu.example.com'] }));
    const select = (name: string) => selectKeys(opened.keyset(), { alg: 'ES256', kid: 'a' }, name);
    expect(select('api.eu.example.com')).toMatchObject({ reason: 'internal_error' });
    expect(select('api.us.example.com')).toMatchObject({ reason: 'unknown_key_id' });
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:a']), PATIENCE);
    expect(select('api.eu.example.com')).toMatchObject({ keys: [{ id: 'remote' }] });
    expect(select('api.us.example.com')).toMatchObject({ reason: 'unknown_key_id' });
  });

  test('fetches every URL for an unknown key id, each at most once in 30 s', async () => {
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
  test('with the same description of a URL does not fetch it again', async () => {
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
  ])('that describes a key %s keeps its set, though the URL is down', async (_what, fields) => {
    const opened = open(urlKey('remote'));
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:a']), PATIENCE);
    host.answer((response) => response.writeHead(503).end());
    clockMs = 5000;
    opened.replaceKeys([urlKey('remote', fields)]);
    expect([ids(opened), missing(opened), [...opened.ages()]]).toEqual([['remote:a'], [], [['remote', 5]]]);
    await vi.waitFor(() => expect(opened.problems().get('remote')).toBe('answers with status 503'), PATIENCE);
    expect(ids(opened)).toEqual(['remote:a']);
  });

  test('with a renewed CA keeps the key objects, on which the token cache depends', async () => {
    const opened = open(urlKey('remote'));
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:a']), PATIENCE);
    const [before] = opened.keyset().keys;
    opened.replaceKeys([{ ...urlKey('remote'), ca: createCa(folder, 'renewed-ca').cert }]);
    expect(opened.keyset().keys[0]).toBe(before);
  });

  test('that renames a key keeps its set under the new name', async () => {
    const opened = open(urlKey('remote'));
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:a']), PATIENCE);
    opened.replaceKeys([
      urlKey('renamed', { location: { url: `${host.origin}/remote`, caFile: undefined } }),
    ]);
    expect(ids(opened)).toEqual(['renamed:a']);
  });

  test('that allows no key of a set makes it missing', async () => {
    const opened = open(urlKey('remote'));
    await vi.waitFor(() => expect(ids(opened)).toEqual(['remote:a']), PATIENCE);
    opened.replaceKeys([urlKey('remote', { algorithms: ['RS256'] })]);
    expect([ids(opened), missing(opened)]).toEqual([[], ['remote']]);
  });

  test('without a key stops fetching its URL, and drops its keys at once', async () => {
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

  test('with a new URL fetches it, and does not wait for it', async () => {
    const opened = open(secretKey('local'));
    opened.replaceKeys([secretKey('local'), urlKey('remote')]);
    expect([ids(opened), missing(opened)]).toEqual([['local'], ['remote']]);
    await vi.waitFor(() => expect(ids(opened)).toEqual(['local', 'remote:a']), PATIENCE);
  });
});

describe('fetchKeyset', () => {
  test('waits for each URL, and returns what was fetched', async () => {
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
