/** Owns the effective configuration as people read it: YAML, with no secret in it, and with what the environment set. */
import { Document, isCollection, isScalar } from 'yaml';
import type { DecryptionKey } from '../approov/encrypted-token.ts';
import type { VerificationKey } from '../approov/keyset.ts';
import { formatAddress } from './address.ts';
import type { Config, KeyConfig } from './config.ts';

interface PrintableKey {
  readonly source: KeyConfig;
  /** What the source holds; `undefined` where that is not read here. */
  readonly keys: readonly Pick<VerificationKey, 'kid' | 'algorithms' | 'fingerprint'>[] | undefined;
}

type PrintableDecryptionKey = Pick<
  DecryptionKey,
  'keyManagementAlgorithms' | 'contentEncryptionAlgorithms' | 'fingerprint'
>;

/** @param keys and `decryptionKeys` as they are loaded, in the order of the configuration. */
export function formatConfig(
  config: Config,
  keys: readonly PrintableKey[],
  decryptionKeys: readonly PrintableDecryptionKey[],
): string {
  const { settings, origins } = config;
  const document = new Document({
    ...settings,
    listen: {
      ...settings.listen,
      grpc: formatAddress(settings.listen.grpc),
      admin: formatAddress(settings.listen.admin),
    },
    decryptionKeys: settings.decryptionKeys.map(({ id, ...described }, index) => ({
      id,
      fingerprint: decryptionKeys[index]?.fingerprint,
      ...described,
      keyManagementAlgorithms:
        decryptionKeys[index]?.keyManagementAlgorithms ?? described.keyManagementAlgorithms,
      contentEncryptionAlgorithms:
        decryptionKeys[index]?.contentEncryptionAlgorithms ?? described.contentEncryptionAlgorithms,
    })),
    keys: keys.map(printableKey),
  });
  const notes = [...origins, ...keyOrigins(config)].map(
    ([path, variable]) => [path, `from ${variable}`] as const,
  );
  for (const [path, note] of [...notes, ...proxyNotes(config)]) {
    const node = document.getIn(path.split('.'), true);
    if (isScalar(node)) node.comment = ` ${note}`;
    else if (isCollection(node)) node.commentBefore = ` ${note}`;
  }
  return document.toString({ lineWidth: 0 });
}

/** With its fingerprint in place of what it holds; a JWK Set with those of its keys. */
function printableKey({ source, keys }: PrintableKey): object {
  const { id, kid, algorithms, hosts, location: from } = source;
  const [only] = keys ?? [];
  return {
    id,
    ...(source.format === 'jwks' || only === undefined
      ? {
          jwks:
            keys?.map((key) => ({
              kid: key.kid ?? null,
              algorithms: key.algorithms,
              fingerprint: key.fingerprint,
            })) ?? [],
        }
      : { fingerprint: only.fingerprint }),
    ...('file' in from ? { [FILE_FIELDS[source.format]]: from.file } : {}),
    ...('url' in from ? urlFields(from) : {}),
    ...(kid === undefined ? {} : { kid }),
    algorithms: algorithms ?? [...new Set(keys?.flatMap((key) => key.algorithms))],
    ...(hosts === undefined ? {} : { hosts }),
  };
}

function urlFields({ url, caFile }: { readonly url: string; readonly caFile: string | undefined }): object {
  return { jwksUrl: withoutQuery(url), ...(caFile === undefined ? {} : { caFile }) };
}

/** A query or fragment may hold what opens the URL. */
function withoutQuery(url: string): string {
  return url.replace(/([?#]).*$/s, '$1[hidden]');
}

const FILE_FIELDS = { secret: 'secretFile', pem: 'pemFile', jwks: 'jwksFile' } as const;

/** The proxy is not shown, as its URL may hold a password. */
function proxyNotes({ keys, proxy }: Config): [path: string, note: string][] {
  return keys.flatMap(({ location: from }, index) =>
    proxy !== undefined && 'url' in from
      ? [[`keys.${index}.jwksUrl`, 'through HTTPS_PROXY, unless NO_PROXY has the host']]
      : [],
  );
}

function keyOrigins(config: Config): [path: string, variable: string][] {
  const [key] = config.keys;
  return key === undefined || config.settings.keys !== undefined ? [] : [['keys.0.id', key.path]];
}
