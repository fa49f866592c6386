/** Accepts connections for an HTTP/2 server: binding, TLS termination, connection limits and closing. */
import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import type { ListenAddress } from '../config/address.ts';
import { limitConnections } from './connection-limits.ts';
import { type ListenerOptions, listen } from './listener.ts';
import type { TlsMaterial } from './tls-material.ts';

/** The client connection preface: 24 bytes and a SETTINGS frame, which may be empty (RFC 9113 §3.4). */
const PREFACE = { bytes: 24 + 9, timeoutSeconds: 5 };

/**
 * The server on top sends a PING after `intervalMs` without traffic, which the client must acknowledge within
 * `timeoutMs` (RFC 9113 §6.7). The listener relies on it: it closes connections that are silent for longer than both.
 */
export const KEEPALIVE = { intervalMs: 10_000, timeoutMs: 10_000 } as const;

export interface Http2ListenerOptions extends ListenerOptions {
  /** At the limit, a new connection replaces the one that has been idle longest; if none is idle, it is closed. */
  readonly maxConnections: number;
  /** `undefined`: plain text. */
  readonly tls: TlsMaterial | undefined;
  /** Receives each new connection, with TLS once the handshake is complete. */
  readonly onConnection: (socket: Socket) => void;
}

interface Http2Listener {
  /** @returns the bound address: with port 0, the port that the system chose. */
  listen(address: ListenAddress): Promise<ListenAddress>;
  /** Uses this certificate for new connections; open ones keep theirs. */
  useTls(tls: TlsMaterial): void;
  /** Stops accepting, and resolves once every connection has ended. Those still open after `graceMs` are destroyed. */
  close(graceMs: number): Promise<void>;
}

export function createHttp2Listener(options: Http2ListenerOptions): Http2Listener {
  const { maxConnections, onConnection, tls } = options;
  let tlsServer = tls && createTlsTerminator(tls, onConnection);
  const server = createServer({ noDelay: true }, (socket: Socket) => {
    if (socket.destroyed) return;
    if (tlsServer === undefined) onConnection(socket);
    else tlsServer.emit('connection', socket);
  });
  const sockets = limitConnections(server, {
    maxConnections,
    preface: PREFACE,
    readTimeoutSeconds: (KEEPALIVE.intervalMs + KEEPALIVE.timeoutMs) / 1000,
  });

  return {
    listen: (address) => listen(server, address, options),

    useTls(next) {
      tlsServer = createTlsTerminator(next, onConnection);
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

/** A TLS server that does not listen: it is given accepted connections, and passes them on after the handshake. */
function createTlsTerminator(
  tls: TlsMaterial,
  onConnection: Http2ListenerOptions['onConnection'],
): TlsServer {
  const { cert, key, clientCa } = tls;
  const timeoutMs = PREFACE.timeoutSeconds * 1000;
  const settings = { cert, key, ALPNProtocols: ['h2'], handshakeTimeout: timeoutMs };
  const clients = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true };
  const server = createTlsServer({ ...settings, ...clients }, (socket) => {
    // Checked here as well, because the bytes that `limitConnections` counts include the handshake.
    const timer = setTimeout(() => {
      if (socket.bytesRead < PREFACE.bytes) socket.destroy();
    }, timeoutMs);
    socket.once('close', () => clearTimeout(timer)).on('error', () => undefined);
    onConnection(socket);
  });
  // After a handshake timeout Node emits the error but leaves the socket open.
  return server.on('tlsClientError', (_error, socket) => socket.destroy());
}
