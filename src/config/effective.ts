/** Owns the effective configuration as people read it: YAML, with no secret in it, and with what the environment set. */
import { Document, isCollection, isScalar } from 'yaml';
import { formatAddress } from './address.ts';
import type { Config } from './config.ts';

interface PrintableKey {
  readonly id: string;
  readonly fingerprint: string;
}

/** @param keys the loaded keys, in the order of the configuration. */
export function formatConfig(config: Config, keys: readonly PrintableKey[]): string {
  const { settings, origins } = config;
  const document = new Document({
    ...settings,
    listen: {
      ...settings.listen,
      grpc: formatAddress(settings.listen.grpc),
      admin: formatAddress(settings.listen.admin),
    },
    keys: config.keys.map(({ id, kid, algorithms, secret }) => ({
      id,
      fingerprint: keys.find((key) => key.id === id)?.fingerprint ?? null,
      ...('file' in secret ? { secretFile: secret.file } : {}),
      ...(kid === undefined ? {} : { kid }),
      algorithms,
    })),
  });
  for (const [path, variable] of [...origins, ...keyOrigins(config)]) {
    const node = document.getIn(path.split('.'), true);
    if (isScalar(node)) node.comment = ` from ${variable}`;
    else if (isCollection(node)) node.commentBefore = ` from ${variable}`;
  }
  return document.toString({ lineWidth: 0 });
}

function keyOrigins(config: Config): [path: string, variable: string][] {
  const [key] = config.keys;
  return key === undefined || config.settings.keys !== undefined ? [] : [['keys.0.id', key.path]];
}
