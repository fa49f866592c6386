/** Owns `check-config`: shows what `serve` would run with. */
import { formatConfig } from '../config/effective.ts';
import { findWarnings } from '../config/warnings.ts';
import { loadConfiguration } from '../configuration.ts';
import { type Command, configFile, EXIT } from './command.ts';

export const checkConfig: Command = {
  help: [],
  options: {},
  async run(options, io) {
    const { config, keys, decryptionKeys } = await loadConfiguration(configFile(options, io), io.env);
    io.out(formatConfig(config, keys, decryptionKeys).trimEnd());
    for (const { path, message } of findWarnings(config)) io.err(`warning: ${path}: ${message}`);
    return EXIT.ok;
  },
};
