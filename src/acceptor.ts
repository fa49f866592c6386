/** Owns the connections that are accepted: how many at a time, and that all of them end in the end. */
import { createServer, type Socket } from 'node:net';
import { type ListenerOptions, type ListenTarget, listen } from './listener.ts';

export interface AcceptorOptions extends ListenerOptions {
  /** One more is closed at once. */
  readonly maxConnections: number;
  readonly onConnection: (socket: Socket) => void;
}

export interface Acceptor {
  /** @returns the bound address, with the port that was found if 0 was asked for. */
  listen(target: ListenTarget): Promise<ListenTarget>;
  /** Takes no new connection, and resolves once the others have ended: by themselves, or by force after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

export function createAcceptor(options: AcceptorOptions): Acceptor {
  const { maxConnections, onConnection } = options;
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket: Socket) => {
    // Not by `server.maxConnections`: workers that are all full would hand a connection round for ever.
    if (sockets.size >= maxConnections) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    onConnection(socket);
  });

  return {
    listen: (target) => listen(server, target, options),

    async close(graceMs) {
      const closed = new Promise<unknown>((resolve) => server.close(resolve));
      const timer = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, graceMs);
      await closed;
      clearTimeout(timer);
    },
  };
}
