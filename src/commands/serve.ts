/** Runs the service until it is asked to stop. */
import { type Service, startService } from '../server/service.ts';
import { WorkerStartError } from '../server/worker-exit.ts';
import { openConfigStore } from '../sources/config-store.ts';
import { type Command, configFile, EXIT, type Io, type Options } from './command.ts';

export const serve: Command = {
  help: [
    'SIGTERM, SIGINT  drain and exit; a second one exits immediately',
    'SIGHUP           reload all files now',
    '',
    'Environment variables, which override the configuration file:',
    'APPROOV_BASE64_SECRET_FILE  file with the secret (or APPROOV_BASE64_SECRET, the secret itself)',
    'APPROOV_MODE                off, observe, limit or enforce (default: enforce)',
    'APPROOV_BINDING_HEADER      header that tokens are bound to',
    'APPROOV_GRPC_LISTEN         address for Envoy (default: 0.0.0.0:9001)',
    'APPROOV_ADMIN_LISTEN        metrics and status (default: 127.0.0.1:9002)',
    'LOG_LEVEL                   debug, info, warn or error (default: info)',
  ],
  options: {},
  async run(options, io) {
    io.enterServiceMode();
    const stopRequested = io.stopRequested();
    const starting = start(options, io);
    // A start that fails is reported below, not once more for each signal.
    io.onReloadSignal(
      () =>
        void starting.then(
          (service) => service.reload(),
          () => undefined,
        ),
    );
    try {
      const service = await Promise.race([starting, stopRequested]);
      if (service === undefined) return EXIT.ok; // Stopped while it was starting: nothing to drain.
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

async function start(options: Options, io: Io): Promise<Service> {
  const configStore = await openConfigStore(configFile(options, io), io.env);
  return startService(configStore, io.requestStop);
}
