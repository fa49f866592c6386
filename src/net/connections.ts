/** Keeps a server's connections within a limit, and closes those that are silent. */
import type { Server, Socket } from 'node:net';

/** How often every connection is looked at: a getter each, 1 ms for 10,000 of them. */
const SWEEP_MS = 1000;
/** A connection on which no more came since the last sweep is idle: an answer to a PING, or frames that open it. */
const IDLE_BYTES = 128;

export interface ConnectionLimits {
  /** With so many open, a new one takes the place of the one that has been idle longest; with none idle it is closed. */
  readonly maxConnections: number;
  /** Closed: a connection that has not sent so many bytes after so many seconds. */
  readonly opening?: { readonly bytes: number; readonly seconds: number };
  /** Closed: a connection on which nothing has come for so many seconds. */
  readonly silenceSeconds?: number;
  /** Whether a connection is in use; without it, the bytes that came since the last sweep decide. */
  readonly isInUse?: (socket: Socket) => boolean;
}

interface Connection {
  readonly socket: Socket;
  /** Sweeps are the clock: one that a stalled process comes to late counts once, and reading follows before the next. */
  readonly opened: number;
  heard: number;
  bytes: number;
}

/** @returns the open connections. One that is closed at once still reaches the server's later listeners, destroyed. */
export function limitConnections(server: Server, limits: ConnectionLimits): ReadonlySet<Socket> {
  const { maxConnections, opening, silenceSeconds = Number.POSITIVE_INFINITY } = limits;
  const connections = new Map<Socket, Connection>();
  /** The one that has been idle longest comes first. */
  const idle = new Set<Connection>();
  const sockets = new Set<Socket>();
  let sweeps = 0;

  function isIdle({ socket, bytes }: Connection): boolean {
    return limits.isInUse === undefined ? socket.bytesRead - bytes <= IDLE_BYTES : !limits.isInUse(socket);
  }

  function forget(socket: Socket): void {
    const connection = connections.get(socket);
    if (connection !== undefined) idle.delete(connection);
    connections.delete(socket);
    sockets.delete(socket);
  }

  function close(socket: Socket): void {
    forget(socket);
    socket.destroy();
  }

  function closeIdle(): boolean {
    for (const connection of idle) {
      idle.delete(connection);
      // In use since the last sweep; the next one looks at it again.
      if (!isIdle(connection)) continue;
      close(connection.socket);
      return true;
    }
    return false;
  }

  function sweep(): void {
    sweeps++;
    for (const connection of connections.values()) {
      const { socket, opened } = connection;
      const { bytesRead } = socket;
      if (bytesRead !== connection.bytes) connection.heard = sweeps;
      if (isIdle(connection)) idle.add(connection);
      else idle.delete(connection);
      connection.bytes = bytesRead;
      const isLate = opening !== undefined && bytesRead < opening.bytes && sweeps - opened > opening.seconds;
      if (isLate || sweeps - connection.heard > silenceSeconds) close(socket);
    }
  }

  server.prependListener('connection', (socket: Socket) => {
    // Not by `server.maxConnections`: workers that are all full would hand a connection round for ever.
    if (sockets.size >= maxConnections && !closeIdle()) {
      socket.destroy();
      return;
    }
    const connection = { socket, opened: sweeps, heard: sweeps, bytes: 0 };
    sockets.add(socket);
    connections.set(socket, connection);
    idle.add(connection);
    socket.once('close', () => forget(socket));
  });
  const timer = setInterval(sweep, SWEEP_MS).unref();
  server.once('close', () => clearInterval(timer));
  return sockets;
}
