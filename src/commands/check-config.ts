/** Owns `check-config`: shows what `serve` would run with. */
import { formatConfig } from '../config/effective.ts';
import { loadConfiguration } from '../configuration.ts';
import { keyWarnings } from '../key-store.ts';
import { type Command, configFile, EXIT } from './command.ts';

export const checkConfig: Command = {
  help: [],
  options: {},
  async run(options, io) {
    const { config, keys, decryptionKeys } = await loadConfiguration(configFile(options, io), io.env);
    io.out(formatConfig(config, keys, decryptionKeys).trimEnd());
    for (const warning of keyWarnings(keys)) io.err(`warning: ${warning}`);
    return EXIT.ok;
  },
};
