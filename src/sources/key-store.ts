/** Owns the keyset that serves: the keys of files as they are loaded, joined by those that live at URLs. */
import { type Keyset, keysetWarnings } from '../approov/keyset.ts';
import type { HttpProxy, KeyConfig } from '../config/config.ts';
import type { LoadedKey } from './config-store.ts';
import type { FetchOptions } from './https-client.ts';
import { describeKey, type ParsedKeys, parseKeys } from './key-parser.ts';
import { createRemoteJwks, type FetchedSet, type RemoteJwks } from './remote-jwks.ts';

type KeyJwks = RemoteJwks<ParsedKeys>;

interface SourceUrl {
  readonly source: KeyConfig;
  readonly url: KeyJwks;
}

export interface KeyStore {
  keyset(): Keyset;
  /** Takes the keys of a new configuration: fetches URLs that are new, and lets go of those that are no more in it. */
  replaceKeys(keys: readonly LoadedKey[]): void;
  /** A token named a key that is nowhere: asks the URLs, as often as they allow. */
  onUnknownKid(): void;
  /** Asks every URL now. */
  refetch(): void;
  /** Seconds since each URL's keys were fetched, by key id. */
  ages(): ReadonlyMap<string, number>;
  /** What is wrong with each URL now, by key id. */
  problems(): ReadonlyMap<string, string>;
  /** What the operator should know of the keys that serve; holds nothing of a key. */
  warnings(): readonly string[];
  stop(): void;
}

interface KeyStoreOptions {
  readonly keys: readonly LoadedKey[];
  readonly proxy: HttpProxy | undefined;
  /** A URL was asked; `isNew`: the keyset is another one now. */
  readonly onFetched: (outcome: 'success' | 'failure', isNew: boolean) => void;
  readonly nowMs: () => number;
}

export function createKeyStore({ keys, proxy, onFetched, nowMs }: KeyStoreOptions): KeyStore {
  let loaded: readonly LoadedKey[] = [];
  let urls = new Map<string, SourceUrl>();

  function replaceKeys(next: readonly LoadedKey[]): void {
    const kept = new Map<string, SourceUrl>();
    for (const { config: source, ca } of next) {
      if (!('url' in source.location)) continue;
      const identity = identityOf(source, ca);
      kept.set(identity, urls.get(identity) ?? startUrl(source, source.location.url, ca));
    }
    for (const [identity, { url }] of urls) if (!kept.has(identity)) url.stop();
    loaded = next;
    urls = kept;
  }

  /** A key that was only described anew must not go without the set that its URL gave already. */
  function startUrl(source: KeyConfig, place: string, ca: string | undefined): SourceUrl {
    const before = [...urls.values()].find((known) => isAt(known.source, place));
    const fetched = before?.url.fetched;
    return {
      source,
      url: startFetching({ source, place, options: { ca, proxy }, fetched, onFetched, nowMs }),
    };
  }

  const fetchedKeys: FetchedKeys = ({ config: source, ca }) => urls.get(identityOf(source, ca))?.url.value;

  replaceKeys(keys);
  return {
    keyset: () => joinKeyset(loaded, fetchedKeys),
    replaceKeys,
    onUnknownKid() {
      for (const { url } of urls.values()) url.onUnknownKid();
    },
    refetch() {
      for (const { url } of urls.values()) void url.refetch();
    },
    ages: () => collect(urls.values(), (url) => url.ageSeconds()),
    problems: () => collect(urls.values(), (url) => url.problem),
    warnings: () => keyWarnings(loaded, fetchedKeys),
    stop() {
      for (const { url } of urls.values()) url.stop();
    },
  };
}

/** The keyset of a command that runs once: each URL is asked once, and waited for; with why not, by key id. */
export async function fetchKeyset(
  loaded: readonly LoadedKey[],
  proxy: HttpProxy | undefined,
): Promise<{ readonly keyset: Keyset; readonly problems: ReadonlyMap<string, string> }> {
  const values = new Map<LoadedKey, ParsedKeys | undefined>();
  const problems = new Map<string, string>();
  for (const key of loaded) {
    const { config: source, ca } = key;
    if (!('url' in source.location)) continue;
    const url = startFetching({
      source,
      place: source.location.url,
      options: { ca, proxy },
      onFetched: () => undefined,
      nowMs: () => performance.now(),
    });
    await url.refetch();
    url.stop();
    values.set(key, url.value);
    if (url.problem !== undefined) problems.set(source.id, url.problem);
  }
  return { keyset: joinKeyset(loaded, (key) => values.get(key)), problems };
}

interface StartOptions extends Omit<KeyStoreOptions, 'keys' | 'proxy'> {
  readonly source: KeyConfig;
  readonly place: string;
  readonly options: FetchOptions;
  readonly fetched?: FetchedSet | undefined;
}

function startFetching({ source, place, ...rest }: StartOptions): KeyJwks {
  return createRemoteJwks({ ...rest, url: place, parse: (text) => parseKeys(source, text) });
}

function isAt({ location: from }: KeyConfig, place: string): boolean {
  return 'url' in from && from.url === place;
}

type FetchedKeys = (key: LoadedKey) => ParsedKeys | undefined;

function joinKeyset(loaded: readonly LoadedKey[], fetched: FetchedKeys): Keyset {
  const keys: Keyset['keys'][number][] = [];
  const missing: Keyset['missing'][number][] = [];
  for (const key of loaded) {
    const found = key.keys ?? fetched(key)?.keys;
    if (found === undefined) missing.push(describeKey(key.config));
    else keys.push(...found);
  }
  return { keys, missing };
}

/** What the operator should know of keys that are loaded, each by its place in the configuration. */
export function keyWarnings(
  loaded: readonly LoadedKey[],
  fetched: FetchedKeys = () => undefined,
): readonly string[] {
  const ofSources = loaded.flatMap((key) =>
    [...key.warnings, ...(fetched(key)?.warnings ?? [])].map((warning) => `${key.config.path}: ${warning}`),
  );
  // Keys for a few hosts only are never candidates of the others, so each set of hosts is asked for by one of its own.
  const hosts = loaded.flatMap(({ config }) => config.hosts ?? []).map((host) => host.replace(/^\*/, 'any'));
  const ofKeyset = keysetWarnings(joinKeyset(loaded, fetched), hosts).map((warning) => `keys: ${warning}`);
  return [...ofSources, ...ofKeyset];
}

function identityOf(source: KeyConfig, ca: string | undefined): string {
  return JSON.stringify({ ...source, ca, path: undefined });
}

function collect<T>(
  urls: Iterable<SourceUrl>,
  value: (url: KeyJwks) => T | undefined,
): ReadonlyMap<string, T> {
  const values = new Map<string, T>();
  for (const { source, url } of urls) {
    const found = value(url);
    if (found !== undefined) values.set(source.id, found);
  }
  return values;
}
