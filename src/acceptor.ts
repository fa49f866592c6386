/** Accepts the connections of the gRPC listener, and ends all of them when it closes. */
import { createServer, type Socket } from 'node:net';
import { limitConnections } from './connections.ts';
import { type ListenerOptions, type ListenTarget, listen } from './listener.ts';

/** The client's connection preface: 24 bytes and a SETTINGS frame, which may be empty (RFC 9113 §3.4). */
const OPENING = { bytes: 24 + 9, seconds: 5 };
/** The server sends a PING every 10 s, and a peer that is there answers it (RFC 9113 §6.7). */
const SILENCE_SECONDS = 20;

export interface AcceptorOptions extends ListenerOptions {
  /** One more takes the place of an idle connection, or is closed at once. */
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
  const server = createServer({ noDelay: true }, (socket: Socket) => {
    if (!socket.destroyed) onConnection(socket);
  });
  const sockets = limitConnections(server, {
    maxConnections,
    opening: OPENING,
    silenceSeconds: SILENCE_SECONDS,
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
