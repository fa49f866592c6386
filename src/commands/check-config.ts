/** Owns `check-config`: shows what `serve` would run with. */
import { formatConfig } from '../config/format-config.ts';
import { findWarnings } from '../config/warnings.ts';
import { loadConfig } from '../sources/config-store.ts';
import { keyWarnings } from '../sources/key-store.ts';
import { decryptionWarnings } from '../sources/loaded-config.ts';
import { type Command, configFile, EXIT } from './command.ts';

export const checkConfig: Command = {
  help: [],
  options: {},
  async run(options, io) {
    const configuration = await loadConfig(configFile(options, io), io.env);
    const { config, keys, decryptionKeys } = configuration;
    io.out(formatConfig(config, keys, decryptionKeys).trimEnd());
    const ofConfig = findWarnings(config).map(({ path, message }) => `${path}: ${message}`);
    for (const warning of [...ofConfig, ...keyWarnings(keys), ...decryptionWarnings(configuration)])
      io.err(`warning: ${warning}`);
    return EXIT.ok;
  },
};
