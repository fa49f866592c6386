/** The server: accepted sockets in, timers, and an orderly shutdown. */
import { type AddressInfo, createServer, type ListenOptions, type Socket } from 'node:net';
import { MAX_DELAY_MS, TICK_MS } from './limits.ts';
import { type UnaryServerOptions, withDefaults } from './options.ts';
import { ServerSocket } from './server-socket.ts';

export interface UnaryServer {
  /** Serves a connection that was accepted elsewhere, for example after a TLS handshake with ALPN `h2`. */
  accept(socket: Socket): void;
  /** Listens without TLS on a Unix socket, and resolves with its path when it is bound. */
  listen(address: ListenOptions & { readonly path: string }): Promise<string>;
  /** Listens without TLS on a port, and resolves with its address when it is bound. */
  listen(address: ListenOptions): Promise<AddressInfo>;
  /**
   * Closes the listeners of `listen`, sends GOAWAY on every connection, and resolves when all have ended. Those open
   * after `graceMs` are destroyed.
   * @throws RangeError if `graceMs` is not a number of 0 or more.
   */
  shutdown(graceMs: number): Promise<void>;
}

export function createUnaryServer(options: UnaryServerOptions): UnaryServer {
  const settings = withDefaults(options);
  const connections = new Set<ServerSocket>();
  const listeners = new Set<ReturnType<typeof createServer>>();
  const onceEmpty: (() => void)[] = [];
  let isShuttingDown = false;
  /** Runs while there are connections, also those that are accepted during a shutdown. */
  let timer: NodeJS.Timeout | undefined;

  function tick(): void {
    for (const connection of connections) connection.tick();
  }

  function accept(socket: Socket): void {
    // Its `close` may have been emitted already.
    if (socket.destroyed) return;
    const connection = new ServerSocket(socket, settings, () => remove(connection));
    connections.add(connection);
    timer ??= setInterval(tick, TICK_MS).unref();
    if (isShuttingDown) connection.shutDown();
  }

  function remove(connection: ServerSocket): void {
    connections.delete(connection);
    if (connections.size > 0) return;
    clearInterval(timer);
    timer = undefined;
    for (const resolve of onceEmpty.splice(0)) resolve();
  }

  return {
    accept,

    async listen(address) {
      const server = createServer({ noDelay: true }, accept);
      listeners.add(server);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject).listen(address, resolve);
      });
      // A path for a Unix socket, else an address: as the overloads say.
      return server.address() as never;
    },

    async shutdown(graceMs) {
      if (!(graceMs >= 0)) throw new RangeError('graceMs must be a number of 0 or more');
      isShuttingDown = true;
      for (const server of listeners) server.close();
      if (connections.size === 0) return;
      const empty = new Promise<void>((resolve) => onceEmpty.push(resolve));
      for (const connection of connections) connection.shutDown();
      const grace = setTimeout(
        () => {
          for (const connection of connections) connection.destroy();
        },
        Math.min(graceMs, MAX_DELAY_MS),
      );
      await empty;
      clearTimeout(grace);
    },
  };
}
