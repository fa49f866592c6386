/** Accepts the connections of the gRPC listener, and ends all of them when it closes. */
import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { limitConnections } from './connections.ts';
import { type ListenerOptions, type ListenTarget, listen } from './listener.ts';
import type { TlsMaterial } from './tls-material.ts';

/** The client's connection preface: 24 bytes and a SETTINGS frame, which may be empty (RFC 9113 §3.4). */
const OPENING = { bytes: 24 + 9, seconds: 5 };
/** The server sends a PING every 10 s, and a peer that is there answers it (RFC 9113 §6.7). */
const SILENCE_SECONDS = 20;

export interface AcceptorOptions extends ListenerOptions {
  /** One more takes the place of an idle connection, or is closed at once. */
  readonly maxConnections: number;
  readonly tls: TlsMaterial | undefined;
  /** A connection is there, under TLS after its handshake. */
  readonly onConnection: (socket: Socket) => void;
}

export interface Acceptor {
  /** @returns the bound address, with the port that was found if 0 was asked for. */
  listen(target: ListenTarget): Promise<ListenTarget>;
  /** New connections get this certificate; those that are open keep theirs. */
  useTls(tls: TlsMaterial): void;
  /** Takes no new connection, and resolves once the others have ended: by themselves, or by force after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

export function createAcceptor(options: AcceptorOptions): Acceptor {
  const { maxConnections, onConnection, tls } = options;
  let secure = tls && createSecureServer(tls, onConnection);
  const server = createServer({ noDelay: true }, (socket: Socket) => {
    if (socket.destroyed) return;
    if (secure === undefined) onConnection(socket);
    else secure.emit('connection', socket);
  });
  const sockets = limitConnections(server, {
    maxConnections,
    opening: OPENING,
    silenceSeconds: SILENCE_SECONDS,
  });

  return {
    listen: (target) => listen(server, target, options),

    useTls(next) {
      secure = createSecureServer(next, onConnection);
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

/** Does not listen itself: it is handed connections, and hands them on once they are secure. */
function createSecureServer(tls: TlsMaterial, onConnection: AcceptorOptions['onConnection']): TlsServer {
  const { cert, key, clientCa } = tls;
  const timeoutMs = OPENING.seconds * 1000;
  const settings = { cert, key, ALPNProtocols: ['h2'], handshakeTimeout: timeoutMs };
  const clients = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true };
  const server = createTlsServer({ ...settings, ...clients }, (socket) => {
    // The preface again, as the bytes that `limitConnections` counts are the handshake's as well.
    const timer = setTimeout(() => {
      if (socket.bytesRead < OPENING.bytes) socket.destroy();
    }, timeoutMs);
    socket.once('close', () => clearTimeout(timer)).on('error', () => undefined);
    onConnection(socket);
  });
  // A handshake that takes too long is only reported.
  return server.on('tlsClientError', (_error, socket) => socket.destroy());
}
