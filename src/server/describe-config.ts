/** Describes a loaded configuration, and what a reload changed in it, for the log. Contains no secret. */
import { isDeepStrictEqual } from 'node:util';
import type { Config, ReloadSource } from '../config/config.ts';
import { printableName } from '../config/shape-problems.ts';
import type { LoadedConfig } from '../sources/loaded-config.ts';

/** A key as the log shows it. */
interface NamedKey {
  readonly id: string;
  readonly kid?: string | undefined;
  readonly mskid?: string | undefined;
  /** `undefined`: not fetched yet. */
  readonly fingerprint?: string | undefined;
}

export interface ConfigSummary {
  /** The mode of each policy, with the share of devices if it is not all of them, by name. */
  readonly policies: Readonly<Record<string, string>>;
  readonly keys: readonly NamedKey[];
  /** `undefined` if none is configured. */
  readonly decryption_keys: readonly NamedKey[] | undefined;
  /** `undefined` if none is configured. */
  readonly message_signing_keys: readonly NamedKey[] | undefined;
}

export function summarizeConfig(loaded: LoadedConfig): ConfigSummary {
  const { config, keys, decryptionKeys, messageSigningKeys } = loaded;
  const { policies } = config.policyTable;
  return {
    policies: Object.fromEntries([...policies.values()].map((policy) => [policy.name, modeOf(policy)])),
    keys: keys.flatMap((key) => key.keys?.map(nameKey) ?? [{ id: key.config.id }]),
    decryption_keys: decryptionKeys.length === 0 ? undefined : decryptionKeys.map(nameKey),
    message_signing_keys: messageSigningKeys.length === 0 ? undefined : messageSigningKeys.map(nameKey),
  };
}

/** `enforce`, or `enforce 10 %`. */
function modeOf({ mode, enforcePercent }: Policy): string {
  return enforcePercent === undefined ? mode : `${mode} ${enforcePercent} %`;
}

function nameKey({ id, kid, mskid, fingerprint }: NamedKey): NamedKey {
  return { id, kid, mskid: mskid && printableName(mskid), fingerprint };
}

export type Changes = Readonly<Record<ReloadSource, readonly string[]>>;

/** What differs between two configurations, by the source whose reload changed it. */
export function describeChanges(before: LoadedConfig, next: LoadedConfig): Changes {
  return {
    config: [
      ...policyChanges(before.config.policyTable, next.config.policyTable),
      ...settingChanges(before.config.settings, next.config.settings),
      ...keyFieldChanges(before.config.keys, next.config.keys),
      ...mskidChanges(before.config, next.config),
      ...keyChanges(keysFrom('url', before), keysFrom('url', next)),
    ],
    keys: [
      ...keyChanges(keysFrom('keys', before), keysFrom('keys', next)),
      ...keyChanges(before.decryptionKeys, next.decryptionKeys, 'decryption key'),
      ...keyChanges(before.messageSigningKeys, next.messageSigningKeys, 'message signing key'),
    ],
    jwks: keyChanges(keysFrom('jwks', before), keysFrom('jwks', next)),
    tls: tlsChanges(before, next),
  };
}

function tlsChanges(before: LoadedConfig, next: LoadedConfig): readonly string[] {
  const caOf = ({ keys }: LoadedConfig, id: string) => keys.find(({ config }) => config.id === id)?.ca;
  return [
    // Switching TLS on or off needs a restart, which has a line of its own.
    ...(before.tls && next.tls ? changedFields(before.tls, next.tls) : []).map(
      (field) => `listen.tls.${field}File changed`,
    ),
    ...next.keys
      .map(({ config }) => config.id)
      .filter((id) => caOf(before, id) !== caOf(next, id))
      .map((id) => `key ${id}: caFile changed`),
  ];
}

type PolicyTable = Config['policyTable'];

function policyChanges(before: PolicyTable, next: PolicyTable): readonly string[] {
  const names = new Set([...before.policies.keys(), ...next.policies.keys()]);
  return [
    ...[...names].flatMap((name) => policyChange(name, before.policies.get(name), next.policies.get(name))),
    ...(before.defaultPolicy.name === next.defaultPolicy.name
      ? []
      : [`defaultPolicy: ${before.defaultPolicy.name} -> ${next.defaultPolicy.name}`]),
  ];
}

type Policy = PolicyTable['defaultPolicy'];

function policyChange(name: string, before: Policy | undefined, next: Policy | undefined): string[] {
  if (next === undefined) return [`policy ${name}: removed`];
  if (before === undefined) return [`policy ${name}: added, ${modeOf(next)}`];
  const [old, now] = [before, next].map(modeOf);
  const others = changedFields(before, next).filter((field) => !['mode', 'enforcePercent'].includes(field));
  return [
    ...(old === now ? [] : [`policy ${name}: ${old} -> ${now}`]),
    ...others.map((field) => `policy ${name}: ${field} changed`),
  ];
}

/** Sections that contain numbers and words only, so that their values can be shown. */
const SHOWN = ['log', 'tokenCache', 'drain'] as const;
const NAMED = ['routes', 'denied', 'replayStore', 'rollout'] as const;

function settingChanges(before: Config['settings'], next: Config['settings']): readonly string[] {
  const shown = SHOWN.flatMap((section) => {
    const [old, now]: Record<string, unknown>[] = [before[section], next[section]];
    return changedFields(old ?? {}, now ?? {}).map((field) => ({
      field: `${section}.${field}`,
      change: `${old?.[field]} -> ${now?.[field]}`,
    }));
  });
  const named = NAMED.filter((section) => !isDeepStrictEqual(before[section], next[section]));
  return [
    // The format of the log changes at the next start, like what has a line of its own.
    ...shown.filter(({ field }) => field !== 'log.format').map(({ field, change }) => `${field}: ${change}`),
    ...named.map((section) => `${section} changed`),
  ];
}

function changedFields(before: object, next: object): readonly string[] {
  const [old, now] = [new Map(Object.entries(before)), new Map(Object.entries(next))];
  return [...new Set([...old.keys(), ...now.keys()])].filter(
    (field) => !isDeepStrictEqual(old.get(field), now.get(field)),
  );
}

/** Of keys that stay, the fields that select them or say where they are. */
function keyFieldChanges(before: Config['keys'], next: Config['keys']): readonly string[] {
  return next.flatMap((key) => {
    const old = before.find(({ id }) => id === key.id);
    const fields = old === undefined ? [] : changedFields(old, key);
    return fields.filter((field) => field !== 'path').map((field) => `key ${key.id}: ${field} changed`);
  });
}

function mskidChanges(
  { messageSigningKeys: before }: Config,
  { messageSigningKeys: next }: Config,
): readonly string[] {
  return next.flatMap(({ id, mskid }) => {
    const old = before.find((key) => key.id === id);
    return old === undefined || old.mskid === mskid ? [] : [`message signing key ${id}: mskid changed`];
  });
}

/** Keys at a URL are fetched by the key store: the configuration only says that there are any. */
function keysFrom(source: 'url' | 'keys' | 'jwks', { keys }: LoadedConfig): readonly NamedKey[] {
  const isOfSource = ({ config: { format, location } }: LoadedConfig['keys'][number]): boolean =>
    source === ('url' in location ? 'url' : format === 'jwks' ? 'jwks' : 'keys');
  return keys.filter(isOfSource).flatMap((key) => key.keys?.map(nameKey) ?? [{ id: key.config.id }]);
}

/** Which ids and fingerprints were added or removed. */
export function keyChanges(
  before: readonly NamedKey[],
  next: readonly NamedKey[],
  what = 'key',
): readonly string[] {
  const ids = new Set([...before, ...next].map(({ id }) => id));
  return [...ids].flatMap((id) => {
    const [old, now] = [before, next].map((keys) => keys.filter((key) => key.id === id));
    return keyChange(`${what} ${id}`, fingerprints(old), fingerprints(now));
  });
}

/** `undefined`: there is no such key. */
function fingerprints(keys: readonly NamedKey[] = []): readonly string[] | undefined {
  return keys.length === 0 ? undefined : keys.flatMap(({ fingerprint }) => fingerprint ?? []);
}

function keyChange(
  key: string,
  before: readonly string[] | undefined,
  next: readonly string[] | undefined,
): string[] {
  if (next === undefined) return [[`${key}: removed`, ...(before ?? [])].join(' ')];
  if (before === undefined) return [[`${key}: added`, ...next].join(' ')];
  const removed = before.filter((fingerprint) => !next.includes(fingerprint));
  const added = next.filter((fingerprint) => !before.includes(fingerprint));
  if (before.length === 1 && next.length === 1 && added.length === 1)
    return [`${key}: ${removed} -> ${added}`];
  return [
    ...(added.length === 0 ? [] : [`${key}: added ${added.join(' ')}`]),
    ...(removed.length === 0 ? [] : [`${key}: removed ${removed.join(' ')}`]),
  ];
}
