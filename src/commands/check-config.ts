/** Prints the configuration that `serve` would run with, and its warnings. */
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
    const loaded = await loadConfig(configFile(options, io), io.env);
    const { config, keys, decryptionKeys } = loaded;
    io.out(formatConfig(config, keys, decryptionKeys).trimEnd());
    const configWarnings = findWarnings(config).map(({ path, message }) => `${path}: ${message}`);
    for (const warning of [...configWarnings, ...keyWarnings(keys), ...decryptionWarnings(loaded)])
      io.err(`warning: ${warning}`);
    return EXIT.ok;
  },
};
