/** Assembles the loaded configuration, in which whatever did not change since the last load is the same object. */
import { isDeepStrictEqual } from 'node:util';
import { type DecryptionKey, isSameChoice } from '../approov/encrypted-token.ts';
import type { VerificationKey } from '../approov/keyset.ts';
import type { Config, DecryptionKeyConfig, KeyConfig, Problem } from '../config/config.ts';
import type { ReplayStoreSettings } from '../config/message-signature-schema.ts';
import type { TlsMaterial } from '../net/tls-material.ts';
import {
  caResource,
  decryptionKeyResource,
  type FileResource,
  identityOf,
  keyResource,
  type LoadedResources,
  messageSigningKeyResource,
  replayStoreResources,
  tlsResource,
} from './file-resource.ts';
import { keysOfSecret, type LoadedMessageSigningKey } from './key-parser.ts';

/** An entry of `keys` with what was loaded for it. */
export interface LoadedKey {
  readonly config: KeyConfig;
  /** `undefined` for a URL, which the key store fetches. */
  readonly keys: readonly VerificationKey[] | undefined;
  /** For the operator; quotes no key. */
  readonly warnings: readonly string[];
  /** The content of `caFile`. */
  readonly ca: string | undefined;
}

/** What is needed to use the replay store. */
interface LoadedReplayStore extends Pick<ReplayStoreSettings, 'url' | 'timeoutMs' | 'onError'> {
  readonly ca: string | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** After a reload, whatever did not change is the same object as before; so is `config.policyTable`. */
export interface LoadedConfig {
  readonly config: Config;
  readonly keys: readonly LoadedKey[];
  readonly decryptionKeys: readonly DecryptionKey[];
  readonly messageSigningKeys: readonly LoadedMessageSigningKey[];
  readonly replayStore: LoadedReplayStore | undefined;
  /** `undefined`: the listener uses no TLS. */
  readonly tls: TlsMaterial | undefined;
}

/** @param resources of `config`, in their last good state. */
export function assembleConfig(
  config: Config,
  resources: LoadedResources['loaded'],
  last: LoadedConfig | undefined,
): LoadedConfig {
  const value: ValueOf = <T>(resource: FileResource<T>): T => resources.get(resource.identity)?.value as T;
  const tls = tlsResource(config.settings.listen.tls);
  const keys = config.keys.map((key) => loadedKey(key, value, last?.keys));
  const decryptionKeys = config.decryptionKeys.map((key) => value(decryptionKeyResource(key)));
  const messageSigningKeys = config.messageSigningKeys.map((key) => value(messageSigningKeyResource(key)));
  const replayStore = loadedReplayStore(config, value);
  return {
    config,
    keys: keepIfSame(keys, last?.keys),
    decryptionKeys: keepIfSame(decryptionKeys, last?.decryptionKeys),
    messageSigningKeys: keepIfSame(messageSigningKeys, last?.messageSigningKeys),
    replayStore: isDeepStrictEqual(replayStore, last?.replayStore) ? last?.replayStore : replayStore,
    tls: tls && value(tls),
  };
}

function loadedReplayStore({ settings }: Config, value: ValueOf): LoadedReplayStore | undefined {
  if (settings.replayStore === undefined) return undefined;
  const { url, timeoutMs, onError } = settings.replayStore;
  const { ca, username, password } = replayStoreResources(settings.replayStore);
  return {
    url,
    timeoutMs,
    onError,
    ca: ca && value(ca),
    username: username && value(username),
    password: password && value(password),
  };
}

/** Keeps the policy table of `last` if nothing in it changed. */
export function keepPolicyTable(next: Config, last: Config | undefined): Config {
  const isSame = last !== undefined && isDeepStrictEqual(next.policyTable, last.policyTable);
  return isSame ? { ...next, policyTable: last.policyTable } : next;
}

type ValueOf = <T>(resource: FileResource<T>) => T;

function keepIfSame<T>(next: readonly T[], last: readonly T[] | undefined): readonly T[] {
  const isSame = last?.length === next.length && next.every((item, index) => item === last[index]);
  return isSame ? last : next;
}

function loadedKey(config: KeyConfig, value: ValueOf, lastKeys: readonly LoadedKey[] = []): LoadedKey {
  const identity = identityOf(config);
  const last = lastKeys.find((key) => identityOf(key.config) === identity);
  const ca = caResource(config);
  const next = { config, ...parsedKeys(config, value, last), ca: ca && value(ca) };
  const isSame =
    last !== undefined &&
    last.config.path === config.path &&
    last.keys === next.keys &&
    last.ca === next.ca &&
    isDeepStrictEqual(last.warnings, next.warnings);
  return isSame ? last : next;
}

function parsedKeys(
  config: KeyConfig,
  value: ValueOf,
  last: LoadedKey | undefined,
): Pick<LoadedKey, 'keys' | 'warnings'> {
  // The environment does not change.
  if ('secret' in config.location) return last ?? keysOfSecret(config, config.location.secret);
  const resource = keyResource(config);
  return resource === undefined ? { keys: undefined, warnings: [] } : value(resource);
}

/** A check decrypts once, so of two keys that the same token selects the second would never be used. */
export function findUnusedDecryptionKeys(
  configs: readonly DecryptionKeyConfig[],
  resources: LoadedResources['loaded'],
): readonly Problem[] {
  const keys = configs.flatMap((config) => {
    const key = resources.get(decryptionKeyResource(config).identity)?.value as DecryptionKey | undefined;
    return key === undefined ? [] : [key];
  });
  return keys.flatMap((key, index) => {
    const first = keys.slice(0, index).find((other) => isSameChoice(other, key));
    if (first === undefined) return [];
    const message = `${key.id} would never be used: tokens that it opens are decrypted with ${first.id}; give each a kid`;
    return [{ path: 'decryptionKeys', message }];
  });
}

/** About the keys that verify no tokens. For the operator; quotes no key. */
export function otherKeyWarnings({
  config,
  keys,
  decryptionKeys,
  messageSigningKeys,
}: LoadedConfig): readonly Problem[] {
  const ofSecrets = [
    ...decryptionKeys.map(({ warning }, index) => ({ warning, config: config.decryptionKeys[index] })),
    ...messageSigningKeys.map(({ warning }, index) => ({
      warning,
      config: config.messageSigningKeys[index],
    })),
  ].flatMap(({ warning, config }) =>
    warning === undefined ? [] : [{ path: config?.path ?? '', message: warning }],
  );
  const tokenKeys = keys.flatMap((key) => key.keys ?? []);
  const ofSameKeys = messageSigningKeys.flatMap(({ fingerprint }, index) => {
    const same = tokenKeys.find((key) => key.fingerprint === fingerprint);
    if (same === undefined) return [];
    const message = `is the same secret as key ${same.id}: Approov signs tokens and messages with different ones`;
    return [{ path: config.messageSigningKeys[index]?.path ?? '', message }];
  });
  return [...ofSecrets, ...ofSameKeys];
}
