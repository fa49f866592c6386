/** Formats the effective configuration as YAML, without secrets, and notes what the environment set. */
import { Document, isCollection, isScalar } from 'yaml';
import type { DecryptionKey } from '../approov/encrypted-token.ts';
import type { VerificationKey } from '../approov/keyset.ts';
import { formatAddress } from './address.ts';
import type { Config, KeyConfig } from './config.ts';
import { KEY_SOURCE_NAMES, KEY_SOURCES, type KeySource } from './key-schema.ts';
import { printableName } from './shape-problems.ts';

interface PrintableKey {
  readonly config: KeyConfig;
  /** `undefined` for a URL, which is not fetched here. */
  readonly keys: readonly Pick<VerificationKey, 'kid' | 'algorithms' | 'fingerprint'>[] | undefined;
}

type PrintableDecryptionKey = Pick<
  DecryptionKey,
  'keyManagementAlgorithms' | 'contentEncryptionAlgorithms' | 'fingerprint'
>;

/** Everything as loaded, in the order of the configuration. */
interface PrintableConfig {
  readonly config: Config;
  readonly keys: readonly PrintableKey[];
  readonly decryptionKeys: readonly PrintableDecryptionKey[];
  readonly messageSigningKeys: readonly { readonly fingerprint: string }[];
}

/** @param notes more comments, by the path of the value. */
export function formatConfig(
  { config, keys, decryptionKeys, messageSigningKeys }: PrintableConfig,
  notes: ReadonlyMap<string, string> = new Map(),
): string {
  const { settings, origins } = config;
  const document = new Document({
    ...settings,
    listen: {
      ...settings.listen,
      grpc: formatAddress(settings.listen.grpc),
      admin: formatAddress(settings.listen.admin),
    },
    decryptionKeys: settings.decryptionKeys.map(({ id, kid, ...described }, index) => ({
      id,
      fingerprint: decryptionKeys[index]?.fingerprint,
      ...described,
      ...(kid === undefined ? {} : { kid: printableName(kid) }),
      keyManagementAlgorithms:
        decryptionKeys[index]?.keyManagementAlgorithms ?? described.keyManagementAlgorithms,
      contentEncryptionAlgorithms:
        decryptionKeys[index]?.contentEncryptionAlgorithms ?? described.contentEncryptionAlgorithms,
    })),
    messageSigningKeys: settings.messageSigningKeys.map(({ id, mskid, secretFile }, index) => ({
      id,
      fingerprint: messageSigningKeys[index]?.fingerprint,
      mskid: printableName(mskid),
      secretFile,
    })),
    keys: keys.map(printableKey),
  });
  const fromVariables = [...origins, ...keyOrigins(config)].map(
    ([path, variable]) => [path, `from ${variable}`] as const,
  );
  for (const [path, note] of [...fromVariables, ...proxyNotes(config), ...notes]) {
    const node = document.getIn(path.split('.'), true);
    if (isScalar(node)) node.comment = `${node.comment == null ? '' : `${node.comment};`} ${note}`;
    else if (isCollection(node)) node.commentBefore = ` ${note}`;
  }
  return document.toString({ lineWidth: 0 });
}

/** Shows fingerprints in place of key material. */
function printableKey({ config, keys }: PrintableKey): object {
  const { id, kid, algorithms, hosts, format } = config;
  const [only] = keys ?? [];
  return {
    id,
    ...(format === 'jwks' || only === undefined
      ? {
          jwks:
            keys?.map((key) => ({
              kid: key.kid ?? null,
              algorithms: key.algorithms,
              fingerprint: key.fingerprint,
            })) ?? [],
        }
      : { fingerprint: only.fingerprint }),
    ...sourceFields(config),
    ...(kid === undefined ? {} : { kid: format === 'pem' ? kid : printableName(kid) }),
    algorithms: algorithms ?? [...new Set(keys?.flatMap((key) => key.algorithms))],
    ...(hosts === undefined ? {} : { hosts }),
  };
}

/** Nothing for a secret in the environment. */
function sourceFields({ format, location }: KeyConfig): Partial<Record<KeySource | 'caFile', string>> {
  if ('secret' in location) return {};
  const kind = 'url' in location ? 'url' : 'file';
  const field = KEY_SOURCE_NAMES.find(
    (name) => KEY_SOURCES[name].format === format && KEY_SOURCES[name].location === kind,
  );
  if (field === undefined) throw new Error(`no field for a key in format ${format} at a ${kind}`);
  if ('file' in location) return { [field]: location.file };
  const { url, caFile } = location;
  return { [field]: withoutQuery(url), ...(caFile === undefined ? {} : { caFile }) };
}

/** A query or fragment may contain an access token. */
function withoutQuery(url: string): string {
  return url.replace(/([?#]).*$/s, '$1[hidden]');
}

/** The proxy's URL is not shown, as it may contain a password. */
function proxyNotes({ keys, proxy }: Config): [path: string, note: string][] {
  return keys.flatMap(({ location }, index) =>
    proxy !== undefined && 'url' in location
      ? [[`keys.${index}.jwksUrl`, 'through HTTPS_PROXY, unless NO_PROXY has the host']]
      : [],
  );
}

function keyOrigins(config: Config): [path: string, variable: string][] {
  const [key] = config.keys;
  return key === undefined || config.settings.keys !== undefined ? [] : [['keys.0.id', key.path]];
}
