/** Queries the health of the running service, for Docker's HEALTHCHECK and Kubernetes exec probes. */
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { formatAddress, type ListenAddress, printableAddress } from '../config/address.ts';
import { ConfigError } from '../config/config.ts';
import type { ListenSettings } from '../config/listen.ts';
import { parseListen } from '../config/parse-listen.ts';
import { placeProblems } from '../config/places.ts';
import { readTextFile } from '../sources/text-file.ts';
import { type Command, configFile, EXIT, type Io, type Options } from './command.ts';

const TIMEOUT_MS = 2000;

export const healthcheck: Command = {
  help: [],
  options: {},
  // Docker reserves exit code 2.
  usageErrorCode: EXIT.failure,
  async run(options, io) {
    const listen = await readListen(options, io);
    // Under mTLS the gRPC listener requires a client certificate, which this command does not have.
    const isMtls = listen.tls?.clientCaFile !== undefined;
    const address = dialAddress(isMtls ? listen.admin : listen.grpc);
    try {
      const status = isMtls
        ? await queryReadyz(address)
        : await queryHealth(address, listen.tls !== undefined);
      if (status === 'SERVING') {
        if (io.isTerminal) io.out(`serving on ${printableAddress(address)}`);
        return EXIT.ok;
      }
      io.err(`${printableAddress(address)}: ${status}`);
    } catch (error) {
      io.err(`${printableAddress(address)}: ${describe(error)}`);
    }
    return EXIT.failure;
  },
};

/** @throws {ConfigError} the file cannot be read, or its `listen` section is invalid. */
async function readListen(options: Options, io: Io): Promise<ListenSettings> {
  const file = configFile(options, io);
  const text = file === undefined ? undefined : await readTextFile(file);
  if (text?.kind === 'unreadable') {
    throw new ConfigError([{ path: 'configuration file', message: text.problem }]);
  }
  const parsed = parseListen(text?.text, io.env);
  if (parsed.kind === 'invalid')
    throw new ConfigError(placeProblems(file ?? '', text?.text ?? '', parsed.problems));
  return parsed.listen;
}

type ServingStatus = 'SERVING' | 'NOT_SERVING';

function describe(error: unknown): string {
  const { code, message, cause } = error as NodeJS.ErrnoException & { cause?: NodeJS.ErrnoException };
  return cause?.code ?? code ?? message;
}

async function queryReadyz(address: ListenAddress): Promise<ServingStatus> {
  const response = await fetch(`http://${formatAddress(address)}/readyz`, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  return response.ok ? 'SERVING' : 'NOT_SERVING';
}

/** The address to connect to for a listen address: loopback for the wildcard addresses. */
function dialAddress(address: ListenAddress): ListenAddress {
  if (address.kind === 'unix') return address;
  const loopback: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  return { ...address, host: loopback[address.host] ?? address.host };
}

/** An empty HealthCheckRequest, which means the whole server, after the 5-byte gRPC prefix of flag and length. */
const REQUEST = Buffer.alloc(5);
/** HealthCheckResponse { status: SERVING } after the same prefix. */
const SERVING = Buffer.from([0, 0, 0, 0, 2, 0x08, 0x01]);

/**
 * Calls `grpc.health.v1.Health/Check` over node:http2. With one fixed message each way, loading the gRPC library for
 * every probe would cost more than it saves.
 */
function queryHealth(address: ListenAddress, isTls: boolean): Promise<ServingStatus> {
  return new Promise((resolve, reject) => {
    const target =
      address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port };
    const session = connectHttp2(isTls ? 'https://localhost' : 'http://localhost', {
      createConnection: () =>
        isTls
          ? // Not verified: the connection carries no secret, and the configured address is not a host name to check.
            connectTls({ ...target, ALPNProtocols: ['h2'], rejectUnauthorized: false })
          : connectSocket(target),
    });
    const timer = setTimeout(
      () => session.destroy(new Error(`no response within ${TIMEOUT_MS} ms`)),
      TIMEOUT_MS,
    );
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
