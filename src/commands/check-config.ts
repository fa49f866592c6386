/** Prints the configuration that `serve` would run with, and its warnings. */
import type { Policy } from '../authz/policy.ts';
import type { Mode } from '../authz/verdict.ts';
import { type Config, formatProblem } from '../config/config.ts';
import { formatConfig } from '../config/format-config.ts';
import { findWarnings } from '../config/warnings.ts';
import { plural } from '../rollout/words.ts';
import { openConfigStore } from '../sources/config-store.ts';
import { keyWarnings } from '../sources/key-store.ts';
import { otherKeyWarnings } from '../sources/loaded-config.ts';
import { type Command, configFile, EXIT } from './command.ts';

export const checkConfig: Command = {
  help: [],
  options: {},
  async run(options, io) {
    const store = await openConfigStore(configFile(options, io), io.env);
    const loaded = store.current();
    const { config, keys } = loaded;
    io.out(formatConfig(loaded).trimEnd());
    const warnings = [...findWarnings(config), ...keyWarnings(keys), ...otherKeyWarnings(loaded)];
    for (const warning of store.place(warnings)) io.err(`warning: ${formatProblem(warning)}`);
    // Not to stdout, which is YAML.
    io.err(`ok: ${summarize(config)}`);
    return EXIT.ok;
  },
};

const VERBS: Readonly<Record<Mode, string>> = {
  off: 'is off',
  observe: 'observes',
  limit: 'limits',
  enforce: 'enforces',
};

function describeMode({ name, mode, enforcePercent }: Policy): string {
  const share = enforcePercent === undefined ? '' : ` for ${enforcePercent} % of devices`;
  return `${name} ${VERBS[mode]}${share}`;
}

function summarize({ keys, decryptionKeys, messageSigningKeys, policyTable, settings }: Config): string {
  return [
    plural(keys.length, 'key'),
    ...(decryptionKeys.length === 0 ? [] : [plural(decryptionKeys.length, 'decryption key')]),
    ...(messageSigningKeys.length === 0 ? [] : [plural(messageSigningKeys.length, 'message signing key')]),
    `${plural(Object.keys(settings.policies).length, 'policy', 'policies')} (${describeMode(policyTable.defaultPolicy)})`,
    plural(settings.routes.length, 'route'),
  ].join(', ');
}
