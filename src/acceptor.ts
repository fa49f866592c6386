/** Owns the connections that are accepted: how many at a time, and that all of them end in the end. */
import { createServer, type Socket } from 'node:net';
import { type ListenTarget, listen } from './listener.ts';

export interface AcceptorOptions {
  /** One more is closed at once. */
  readonly maxConnections: number;
  readonly onConnection: (socket: Socket) => void;
  /** A connection could not be accepted, as when the process is out of file descriptors. */
  readonly onListenerError: (error: Error) => void;
}

export interface Acceptor {
  /** @returns the bound address, with the port that was found if 0 was asked for. */
  listen(target: ListenTarget, socketMode: number): Promise<ListenTarget>;
  /** Takes no new connection, and resolves once the others have ended: by themselves, or by force after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

export function createAcceptor({ maxConnections, onConnection, onListenerError }: AcceptorOptions): Acceptor {
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
    async listen(target, socketMode) {
      const bound = await listen(server, target, socketMode);
      server.on('error', onListenerError);
      return bound;
    },

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
