/** Owns `serve`: runs the service until a signal ends it. */

import { startService } from '../server/service.ts';
import { WorkerStartError } from '../server/worker-exit.ts';
import { openConfigStore } from '../sources/config-store.ts';
import { type Command, configFile, EXIT } from './command.ts';

export const serve: Command = {
  help: ['SIGTERM or SIGINT drains and ends it, a second one ends it at once; SIGHUP reloads files now'],
  options: {},
  async run(options, io) {
    io.takeStreams();
    const stopRequested = io.stopSignal();
    const starting = openConfigStore(configFile(options, io), io.env).then((files) =>
      startService(files, io.stop),
    );
    // From the beginning, as a signal that nobody listens to ends the process.
    io.onReloadSignal(() => void starting.then((service) => service.reload()));
    try {
      // Asked before it serves, it has nothing to drain.
      const service = await Promise.race([starting, stopRequested]);
      if (service === undefined) return EXIT.ok;
      await stopRequested;
      await service.stop();
      return EXIT.ok;
    } catch (error) {
      if (!(error instanceof WorkerStartError)) throw error;
      // A worker that exited has printed the reason itself.
      if (error.exit.kind !== 'exited') io.err(error.message);
      return EXIT.failure;
    }
  },
};
