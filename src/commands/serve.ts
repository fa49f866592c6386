/** Owns `serve`: runs the service until a signal ends it. */
import { openConfiguration } from '../configuration.ts';
import { startService } from '../service.ts';
import { type Command, configFile, EXIT } from './command.ts';

export const serve: Command = {
  summary: 'run the service (the default)',
  help: ['SIGTERM or SIGINT drains and ends it, a second one ends it at once; SIGHUP reloads files now'],
  options: {},
  async run(options, io) {
    const files = await openConfiguration(configFile(options, io), io.env);
    const isAsked = io.stopSignal();
    const service = await startService(files, io.stop);
    io.onReloadSignal(() => void service.reload());
    await isAsked;
    await service.stop();
    return EXIT.ok;
  },
};
