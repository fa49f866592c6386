/** Binds a server to a TCP address or a Unix socket. */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, type ListenOptions, type Server } from 'node:net';
import type { ListenAddress } from '../config/address.ts';

/** The size of `sun_path` without its NUL. libuv truncates a longer path and binds the wrong one. */
const MAX_SOCKET_PATH_BYTES = process.platform === 'linux' ? 107 : 103;

export interface ListenerOptions {
  /** Permission bits of a Unix socket. */
  readonly unixSocketMode: number;
  /** `accept` failed, for example because the process is out of file descriptors. The server keeps listening. */
  readonly onListenerError: (error: Error) => void;
}

/**
 * Starts listening. A stale Unix socket is replaced.
 * @returns the bound address: with port 0, the port that the system chose.
 * @throws the system's error if the address cannot be bound.
 */
export async function listen(
  server: Server,
  address: ListenAddress,
  { unixSocketMode, onListenerError }: ListenerOptions,
): Promise<ListenAddress> {
  const bound =
    address.kind === 'tcp' ? await bindTcp(server, address) : await bindUnix(server, address, unixSocketMode);
  server.on('error', onListenerError);
  return bound;
}

type TcpAddress = Extract<ListenAddress, { kind: 'tcp' }>;
type UnixAddress = Extract<ListenAddress, { kind: 'unix' }>;

async function bindTcp(server: Server, address: TcpAddress): Promise<TcpAddress> {
  await bind(server, { host: address.host, port: address.port });
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? { ...address, port: bound.port } : address;
}

async function bindUnix(server: Server, address: UnixAddress, unixSocketMode: number): Promise<UnixAddress> {
  if (Buffer.byteLength(address.path) > MAX_SOCKET_PATH_BYTES) {
    throw Object.assign(new Error('socket path too long'), { code: 'ENAMETOOLONG' });
  }
  // Before the first attempt, not after a failed one: node:cluster numbers a worker's listen attempts, and workers
  // share a handle only under the same number.
  if (await isStale(address.path)) unlinkSync(address.path);
  await bind(server, { path: address.path });
  chmodSync(address.path, unixSocketMode);
  return address;
}

function bind(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Whether a path is a socket that no process listens on: a process that is killed leaves its file behind. */
async function isStale(path: string): Promise<boolean> {
  const isSocket = lstatSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
  return isSocket && (await refusesConnections(path));
}

function refusesConnections(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}
