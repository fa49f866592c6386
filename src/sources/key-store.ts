/** Joins the keys loaded from files and those fetched from URLs into the keyset. */
import { type Keyset, keysetWarnings } from '../approov/keyset.ts';
import type { HttpProxy, KeyConfig, Problem } from '../config/config.ts';
import { identityOf } from './file-resource.ts';
import { describeKey, keepSameKeys, type ParsedKeys, parseKeys } from './key-parser.ts';
import type { LoadedKey } from './loaded-config.ts';
import { createRemoteJwks, type RemoteJwks, type RemoteJwksOptions } from './remote-jwks.ts';

interface RemoteKey {
  readonly config: KeyConfig;
  readonly jwks: RemoteJwks<ParsedKeys>;
}

export interface KeyStore {
  keyset(): Keyset;
  /** Uses the keys of a new configuration: starts fetching URLs that are new, and stops for those that it lacks. */
  replaceKeys(keys: readonly LoadedKey[]): void;
  /** Fetches the URLs, as no key has the `kid` of a token; each limits how often. */
  onUnknownKid(): void;
  /** Fetches every URL now. */
  refetch(): void;
  /** Seconds since the last successful fetch of each URL, by key id. */
  ages(): ReadonlyMap<string, number>;
  /** Why the last fetch of a URL failed, by key id. */
  problems(): ReadonlyMap<string, string>;
  /** For the operator; quotes no key. */
  warnings(): readonly Problem[];
  stop(): void;
}

interface KeyStoreOptions extends Pick<RemoteJwksOptions<ParsedKeys>, 'onFetched' | 'onError' | 'nowMs'> {
  readonly keys: readonly LoadedKey[];
  /** The proxy of the current configuration. */
  readonly proxy: () => HttpProxy | undefined;
}

export function createKeyStore({ keys, proxy, ...options }: KeyStoreOptions): KeyStore {
  let loaded: readonly LoadedKey[] = [];
  let remoteKeys = new Map<string, RemoteKey>();

  function replaceKeys(next: readonly LoadedKey[]): void {
    const kept = new Map<string, RemoteKey>();
    for (const key of next) {
      if (!('url' in key.config.location)) continue;
      const identity = remoteIdentity(key);
      kept.set(identity, remoteKeys.get(identity) ?? startRemote(key, key.config.location.url));
    }
    for (const [identity, { jwks }] of remoteKeys) if (!kept.has(identity)) jwks.stop();
    loaded = next;
    remoteKeys = kept;
  }

  /** Starts with the set that its URL gave for an earlier configuration: the URL may be down now. */
  function startRemote({ config, ca }: LoadedKey, url: string): RemoteKey {
    const before = [...remoteKeys.values()].find((known) => urlOf(known.config) === url);
    const fetched = before?.jwks.fetched;
    const isSame = before !== undefined && identityOf(before.config) === identityOf(config);
    const previous = fetched && { fetched, value: isSame ? before.jwks.value : undefined };
    return {
      config,
      jwks: startFetching(config, { ...options, url, options: { ca, proxy: proxy() }, previous }),
    };
  }

  const fetchedKeys: FetchedKeys = (key) => remoteKeys.get(remoteIdentity(key))?.jwks.value;

  replaceKeys(keys);
  return {
    keyset: () => joinKeyset(loaded, fetchedKeys),
    replaceKeys,
    onUnknownKid() {
      for (const { jwks } of remoteKeys.values()) jwks.onUnknownKid();
    },
    refetch() {
      for (const { jwks } of remoteKeys.values()) void jwks.refetch();
    },
    ages: () => collect(remoteKeys.values(), (jwks) => jwks.ageSeconds()),
    problems: () => collect(remoteKeys.values(), (jwks) => jwks.problem),
    warnings: () => keyWarnings(loaded, fetchedKeys),
    stop() {
      for (const { jwks } of remoteKeys.values()) jwks.stop();
    },
  };
}

/** Fetches each URL once and waits for it, for a command that runs once; `problems` by key id. */
export async function fetchKeyset(
  loaded: readonly LoadedKey[],
  proxy: HttpProxy | undefined,
): Promise<{ readonly keyset: Keyset; readonly problems: ReadonlyMap<string, string> }> {
  const values = new Map<LoadedKey, ParsedKeys | undefined>();
  const problems = new Map<string, string>();
  for (const key of loaded) {
    const { config, ca } = key;
    const url = urlOf(config);
    if (url === undefined) continue;
    const jwks = startFetching(config, {
      url,
      options: { ca, proxy },
      onFetched: () => undefined,
      onError(error) {
        throw error;
      },
      nowMs: () => performance.now(),
    });
    await jwks.refetch();
    jwks.stop();
    values.set(key, jwks.value);
    if (jwks.problem !== undefined) problems.set(config.id, jwks.problem);
  }
  return { keyset: joinKeyset(loaded, (key) => values.get(key)), problems };
}

function startFetching(
  config: KeyConfig,
  options: Omit<RemoteJwksOptions<ParsedKeys>, 'parse'>,
): RemoteJwks<ParsedKeys> {
  return createRemoteJwks({ ...options, parse: (text, last) => keepSameKeys(parseKeys(config, text), last) });
}

function urlOf({ location }: KeyConfig): string | undefined {
  return 'url' in location ? location.url : undefined;
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

/** Warnings about loaded keys, each with its place in the configuration. */
export function keyWarnings(
  loaded: readonly LoadedKey[],
  fetched: FetchedKeys = () => undefined,
): readonly Problem[] {
  const ofKeys = loaded.flatMap((key) =>
    [...key.warnings, ...(fetched(key)?.warnings ?? [])].map((message) => ({
      path: key.config.path,
      message,
    })),
  );
  // Keys with `hosts` are candidates for those only, so one host of each pattern stands for its set of keys.
  const hosts = loaded.flatMap(({ config }) => config.hosts ?? []).map((host) => host.replace(/^\*/, 'any'));
  const keyset = joinKeyset(loaded, fetched);
  const ofKeyset = [...keysetWarnings(keyset, hosts), ...sameKeyWarnings(keyset)];
  return [...ofKeys, ...ofKeyset.map((message) => ({ path: 'keys', message }))];
}

/** A rotation in which the new secret is the old one rotates nothing. */
function sameKeyWarnings({ keys }: Keyset): readonly string[] {
  const idsOf = new Map<string, Set<string>>();
  for (const { id, fingerprint } of keys)
    idsOf.set(fingerprint, (idsOf.get(fingerprint) ?? new Set()).add(id));
  return Array.from(idsOf, ([fingerprint, ids]) => ({ fingerprint, ids: [...ids] })).flatMap(
    ({ fingerprint, ids }) =>
      ids.length > 1 ? [`${ids.join(', ')} are the same key (fingerprint ${fingerprint})`] : [],
  );
}

function remoteIdentity({ config, ca }: LoadedKey): string {
  return JSON.stringify([identityOf(config), ca]);
}

function collect<T>(
  remoteKeys: Iterable<RemoteKey>,
  value: (jwks: RemoteJwks<ParsedKeys>) => T | undefined,
): ReadonlyMap<string, T> {
  const values = new Map<string, T>();
  for (const { config, jwks } of remoteKeys) {
    const found = value(jwks);
    if (found !== undefined) values.set(config.id, found);
  }
  return values;
}
