/** Starts a unary-grpc server on a free port of loopback. */
import { createUnaryServer, type UnaryServerOptions } from '../../src/index.ts';

export interface ListeningServer {
  /** host:port. */
  readonly address: string;
  stop(): Promise<void>;
}

export async function listenUnary(options: UnaryServerOptions): Promise<ListeningServer> {
  const server = createUnaryServer(options);
  const bound = await server.listen({ host: '127.0.0.1', port: 0 });
  const port = typeof bound === 'string' ? bound : bound.port;
  return { address: `127.0.0.1:${port}`, stop: () => server.shutdown(0) };
}
