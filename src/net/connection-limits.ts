/** Limits the number of a server's connections, and closes those that stay silent. */
import type { Server, Socket } from 'node:net';

/** How often every connection is checked; reading one counter each takes 1 ms for 10,000 connections. */
const SWEEP_MS = 1000;
/** A connection that received no more than this since the last sweep is idle: a PING ACK, or the HTTP/2 preface. */
const IDLE_BYTES = 128;

export interface ConnectionLimits {
  /** At the limit, a new connection replaces the one that has been idle longest; if none is idle, it is closed. */
  readonly maxConnections: number;
  /** A connection that has received fewer bytes than this by the timeout is closed. Default: no such limit. */
  readonly preface?: { readonly bytes: number; readonly timeoutSeconds: number };
  /** A connection that receives nothing for this long is closed. Default: never. */
  readonly readTimeoutSeconds?: number;
  /** Whether a connection is in use. Default: judged by the bytes received since the last sweep. */
  readonly isInUse?: (socket: Socket) => boolean;
}

interface Connection {
  readonly socket: Socket;
  /**
   * Time is counted in sweeps. If the process stalls, late sweeps count as one, and sockets are read before the next,
   * so a connection is not closed for data that arrived during the stall.
   */
  readonly openedAt: number;
  lastReadAt: number;
  /** `bytesRead` at the last sweep. */
  bytes: number;
}

/**
 * @returns the open connections, kept up to date. A connection that is closed immediately still reaches the `connection`
 * listeners of the server, already destroyed.
 */
export function limitConnections(server: Server, limits: ConnectionLimits): ReadonlySet<Socket> {
  const { maxConnections, preface, readTimeoutSeconds = Number.POSITIVE_INFINITY } = limits;
  const connections = new Map<Socket, Connection>();
  /** Idle longest first. */
  const idle = new Set<Connection>();
  const sockets = new Set<Socket>();
  let sweeps = 0;

  function isIdle({ socket, bytes }: Connection): boolean {
    return limits.isInUse === undefined ? socket.bytesRead - bytes <= IDLE_BYTES : !limits.isInUse(socket);
  }

  function add(socket: Socket): void {
    const connection = { socket, openedAt: sweeps, lastReadAt: sweeps, bytes: 0 };
    sockets.add(socket);
    connections.set(socket, connection);
    idle.add(connection);
    socket.once('close', () => remove(socket));
  }

  function remove(socket: Socket): void {
    const connection = connections.get(socket);
    if (connection !== undefined) idle.delete(connection);
    connections.delete(socket);
    sockets.delete(socket);
  }

  function close(socket: Socket): void {
    remove(socket);
    socket.destroy();
  }

  function closeLongestIdle(): boolean {
    for (const connection of idle) {
      idle.delete(connection);
      // Used since the last sweep; the next sweep decides again.
      if (!isIdle(connection)) continue;
      close(connection.socket);
      return true;
    }
    return false;
  }

  function sweep(): void {
    sweeps++;
    for (const connection of connections.values()) {
      const { socket, openedAt } = connection;
      const { bytesRead } = socket;
      if (bytesRead !== connection.bytes) connection.lastReadAt = sweeps;
      if (isIdle(connection)) idle.add(connection);
      else idle.delete(connection);
      connection.bytes = bytesRead;
      const isPrefaceLate =
        preface !== undefined && bytesRead < preface.bytes && sweeps - openedAt > preface.timeoutSeconds;
      if (isPrefaceLate || sweeps - connection.lastReadAt > readTimeoutSeconds) close(socket);
    }
  }

  server.prependListener('connection', (socket: Socket) => {
    // `server.maxConnections` would not do: workers that are all full would pass a connection around forever.
    if (sockets.size >= maxConnections && !closeLongestIdle()) socket.destroy();
    else add(socket);
  });
  const timer = setInterval(sweep, SWEEP_MS).unref();
  server.once('close', () => clearInterval(timer));
  return sockets;
}
