/** An HTTP proxy that tunnels by CONNECT, or refuses to. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

export interface ConnectProxy {
  /** http://127.0.0.1:port */
  readonly url: string;
  /** The target and the proxy-authorization of each CONNECT request. */
  readonly tunnels: readonly { readonly to: string; readonly authorization: string | undefined }[];
  close(): Promise<void>;
}

/** @param status the response to CONNECT instead of a tunnel. */
export async function startConnectProxy(status?: number): Promise<ConnectProxy> {
  const tunnels: { to: string; authorization: string | undefined }[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((_request, response) => response.writeHead(400).end());
  server.on('connect', (request, socket: Socket, head: Buffer) => {
    const to = request.url ?? '';
    tunnels.push({ to, authorization: request.headers['proxy-authorization'] });
    if (status !== undefined) {
      socket.end(`HTTP/1.1 ${status} Refused\r\n\r\n`);
      return;
    }
    const upstream = connect(Number(to.split(':').at(-1)), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.write(head);
      upstream.pipe(socket).pipe(upstream);
    });
    for (const [one, other] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tunnels,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}
