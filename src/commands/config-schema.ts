/** Prints the JSON Schema of the configuration file. */
import { configJsonSchema } from '../config/json-schema.ts';
import { type Command, EXIT, PROGRAM } from './command.ts';

export const configSchema: Command = {
  help: [
    `${PROGRAM} config-schema > config.schema.json`,
    'Then make this the first line of the configuration file:',
    '# yaml-language-server: $schema=config.schema.json',
  ],
  options: {},
  async run(_options, io) {
    io.out(JSON.stringify(configJsonSchema(), null, 2));
    return EXIT.ok;
  },
};
