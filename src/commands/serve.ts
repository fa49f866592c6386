/** Owns `serve`: runs the service until a signal ends it. */
import { openConfiguration } from '../configuration.ts';
import { startService } from '../service.ts';
import { type Command, configFile, EXIT } from './command.ts';

export const serve: Command = {
  summary: 'run the service (the default)',
  help: ['SIGTERM or SIGINT drains and ends it, a second one ends it at once; SIGHUP reloads files now'],
  options: {},
  async run(options, io) {
    const isAsked = io.stopSignal();
    const starting = openConfiguration(configFile(options, io), io.env).then((files) =>
      startService(files, io.stop),
    );
    // From the beginning, as a signal that nobody listens to ends the process.
    io.onReloadSignal(() => void starting.then((service) => service.reload()));
    const service = await starting;
    await isAsked;
    await service.stop();
    return EXIT.ok;
  },
};
