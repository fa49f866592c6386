/** Queries the health of the running service, for Docker's HEALTHCHECK and Kubernetes exec probes. */
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { type ListenAddress, printableAddress } from '../config/address.ts';
import { describeConnectionError } from '../sources/connection-problem.ts';
import { type Command, EXIT } from './command.ts';
import { connectGrpcTls, connectOptions, dialAddress, getPage, readListen } from './running-service.ts';

const TIMEOUT_MS = 2000;
const NO_RESPONSE = `no response within ${TIMEOUT_MS} ms`;

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
      io.err(`${printableAddress(address)}: NOT_SERVING: draining, or no key is loaded`);
    } catch (error) {
      io.err(`${printableAddress(address)}: ${describe(error as Error)}`);
    }
    return EXIT.failure;
  },
};

type ServingStatus = 'SERVING' | 'NOT_SERVING';

function describe(error: Error): string {
  return error.name === 'TimeoutError' ? NO_RESPONSE : describeConnectionError(error);
}

async function queryReadyz(address: ListenAddress): Promise<ServingStatus> {
  const { status } = await getPage(address, '/readyz', AbortSignal.timeout(TIMEOUT_MS));
  return status === 200 ? 'SERVING' : 'NOT_SERVING';
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
    const session = connectHttp2(isTls ? 'https://localhost' : 'http://localhost', {
      createConnection: () => (isTls ? connectGrpcTls(address) : connectSocket(connectOptions(address))),
    });
    const timer = setTimeout(() => session.destroy(new Error(NO_RESPONSE)), TIMEOUT_MS);
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
