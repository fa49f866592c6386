/** Echo servers to compare: unary-grpc, grpc-js, and python-hyper/h2. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type handleUnaryCall, Server, ServerCredentials, setLogger } from '@grpc/grpc-js';
import { killAtExit } from '../../../../test/support/platform-tool.ts';
import { program } from '../../../../test/support/requirement.ts';
import { ECHO_PATH } from './wire.ts';

export interface EchoServer {
  /** host:port. */
  readonly address: string;
  stop(): Promise<void>;
}

export async function startGrpcJsEcho(): Promise<EchoServer> {
  // It writes some protocol errors of its clients to stderr.
  setLogger({});
  const identity = (bytes: Buffer): Buffer => bytes;
  const server = new Server({ 'grpc.enable_channelz': 0 });
  const method = {
    path: ECHO_PATH,
    requestStream: false,
    responseStream: false,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
  const echo: handleUnaryCall<Buffer, Buffer> = ({ request }, answer) => answer(null, request);
  server.addService({ Echo: method }, { Echo: echo });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { address: `127.0.0.1:${port}`, stop: async () => server.forceShutdown() };
}

const SCRIPT = fileURLToPath(new URL('h2_echo.py', import.meta.url));

export const PYTHON_H2 = program('python3', ['-c', 'import h2'], 'pip install h2', 'python-hyper/h2');

export async function startPythonEcho(): Promise<EchoServer> {
  const child = spawn('python3', [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
  killAtExit(child);
  const ended = once(child, 'close');
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  return {
    address: `127.0.0.1:${port.toString().trim()}`,
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}
