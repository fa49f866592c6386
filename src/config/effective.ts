/** Owns the effective configuration as people read it: YAML, with no secret in it, and with what the environment set. */
import { Document, isCollection, isScalar } from 'yaml';
import type { DecryptionKey } from '../approov/encrypted-token.ts';
import type { VerificationKey } from '../approov/keyset.ts';
import { formatAddress } from './address.ts';
import type { Config, KeySource } from './config.ts';

interface PrintableKey {
  readonly source: KeySource;
  /** What the source holds; `undefined` where that is not read here. */
  readonly keys: readonly Pick<VerificationKey, 'kid' | 'algorithms' | 'fingerprint'>[] | undefined;
}

type PrintableDecryptionKey = Pick<DecryptionKey, 'algorithms' | 'encryptions' | 'fingerprint'>;

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
      algorithms: decryptionKeys[index]?.algorithms ?? described.algorithms,
      encryptions: decryptionKeys[index]?.encryptions ?? described.encryptions,
    })),
    keys: keys.map(printableKey),
  });
  for (const [path, variable] of [...origins, ...keyOrigins(config)]) {
    const node = document.getIn(path.split('.'), true);
    if (isScalar(node)) node.comment = ` from ${variable}`;
    else if (isCollection(node)) node.commentBefore = ` from ${variable}`;
  }
  return document.toString({ lineWidth: 0 });
}

/** With its fingerprint in place of what it holds; a JWK Set with those of its keys. */
function printableKey({ source, keys }: PrintableKey): object {
  const { id, kid, algorithms, hosts, from } = source;
  const [only] = keys ?? [];
  return {
    id,
    ...(source.source === 'jwks' || only === undefined
      ? {
          jwks:
            keys?.map((key) => ({
              kid: key.kid ?? null,
              algorithms: key.algorithms,
              fingerprint: key.fingerprint,
            })) ?? [],
        }
      : { fingerprint: only.fingerprint }),
    ...('file' in from ? { [FILE_FIELDS[source.source]]: from.file } : {}),
    ...('url' in from ? { jwksUrl: withoutQuery(from.url) } : {}),
    ...(kid === undefined ? {} : { kid }),
    algorithms: algorithms ?? [...new Set(keys?.flatMap((key) => key.algorithms))],
    ...(hosts === undefined ? {} : { hosts }),
  };
}

/** A query or fragment may hold what opens the URL. */
function withoutQuery(url: string): string {
  return url.replace(/([?#]).*$/s, '$1[hidden]');
}

const FILE_FIELDS = { secret: 'secretFile', pem: 'pemFile', jwks: 'jwksFile' } as const;

function keyOrigins(config: Config): [path: string, variable: string][] {
  const [key] = config.keys;
  return key === undefined || config.settings.keys !== undefined ? [] : [['keys.0.id', key.path]];
}
