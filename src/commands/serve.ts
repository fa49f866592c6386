/** Owns `serve`: runs the service until a signal ends it. */
import { loadConfiguration } from '../configuration.ts';
import { startService } from '../service.ts';
import { type Command, configFile, EXIT } from './command.ts';

export const serve: Command = {
  summary: 'run the service (the default)',
  help: [],
  options: {},
  async run(options, io) {
    const service = await startService(await loadConfiguration(configFile(options, io), io.env));
    await io.stopSignal();
    await service.stop();
    return EXIT.ok;
  },
};
