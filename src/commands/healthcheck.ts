/** Owns `healthcheck`: asks the running service's gRPC health, for HEALTHCHECK and exec probes. */
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { formatAddress, type ListenAddress } from '../config/address.ts';
import { ConfigError } from '../config/config.ts';
import type { ListenSettings } from '../config/listen.ts';
import { parseListen } from '../config/parse-listen.ts';
import { readTextFile } from '../sources/text-file.ts';
import { type Command, configFile, EXIT, type Io, type Options } from './command.ts';

const TIMEOUT_MS = 2000;

export const healthcheck: Command = {
  help: [],
  options: {},
  // Docker and Kubernetes know 0 and 1.
  mistakeCode: EXIT.failure,
  async run(options, io) {
    const listen = await readListen(options, io);
    // A client certificate is Envoy's and not ours to show, so the admin page is asked instead.
    const isMutual = listen.tls?.clientCaFile !== undefined;
    const address = reachable(isMutual ? listen.admin : listen.grpc);
    try {
      const answer = isMutual ? await askReadyz(address) : await askHealth(address, listen.tls !== undefined);
      if (answer === 'SERVING') return EXIT.ok;
      io.err(`${formatAddress(address)}: ${answer}`);
    } catch (error) {
      io.err(`${formatAddress(address)}: ${describe(error)}`);
    }
    return EXIT.failure;
  },
};

/** @throws {ConfigError} with what is wrong with it, or with reading the file. */
async function readListen(options: Options, io: Io): Promise<ListenSettings> {
  const file = configFile(options, io);
  const text = file === undefined ? undefined : await readTextFile(file);
  if (text?.kind === 'unreadable') {
    throw new ConfigError([{ path: 'configuration file', message: text.problem }]);
  }
  const parsed = parseListen(text?.text, io.env);
  if (parsed.kind === 'invalid') throw new ConfigError(parsed.problems);
  return parsed.listen;
}

type Answer = 'SERVING' | 'NOT_SERVING';

function describe(error: unknown): string {
  const { code, message, cause } = error as NodeJS.ErrnoException & { cause?: NodeJS.ErrnoException };
  return cause?.code ?? code ?? message;
}

async function askReadyz(address: ListenAddress): Promise<Answer> {
  const response = await fetch(`http://${formatAddress(address)}/readyz`, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  return response.ok ? 'SERVING' : 'NOT_SERVING';
}

/** The address to call for one that is listened on: the wildcards mean any, so this machine's own will do. */
function reachable(address: ListenAddress): ListenAddress {
  if (address.kind === 'unix') return address;
  const own: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  return { ...address, host: own[address.host] ?? address.host };
}

/** An empty HealthCheckRequest, which asks for the whole server, behind gRPC's five bytes of flag and length. */
const REQUEST = Buffer.alloc(5);
/** HealthCheckResponse { status: SERVING } behind the same. */
const SERVING = Buffer.from([0, 0, 0, 0, 2, 0x08, 0x01]);

/**
 * Calls `grpc.health.v1.Health/Check`. By hand, as one fixed message each way is less than loading the gRPC
 * library in every probe.
 */
function askHealth(address: ListenAddress, isTls: boolean): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const target =
      address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
    const session = connectHttp2(isTls ? 'https://localhost' : 'http://localhost', {
      createConnection: () =>
        isTls
          ? // Only whether it answers is asked, on this machine: there is nothing to protect, and no name to check.
            connectTls({ ...target, ALPNProtocols: ['h2'], rejectUnauthorized: false })
          : connectSocket(target),
    });
    const timer = setTimeout(() => session.destroy(new Error(`no answer in ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      session.close();
      settle();
    };
    session.once('error', (error) => end(() => reject(error)));
    const call = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const chunks: Buffer[] = [];
    call.once('error', (error) => end(() => reject(error)));
    call.on('data', (chunk: Buffer) => chunks.push(chunk));
    call.once('end', () =>
      end(() => resolve(Buffer.concat(chunks).equals(SERVING) ? 'SERVING' : 'NOT_SERVING')),
    );
    call.end(REQUEST);
  });
}
