/** Owns listening on a TCP address or a unix socket. */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, type ListenOptions, type Server } from 'node:net';

export type ListenTarget =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Of sockaddr_un, with its NUL left out: libuv cuts a longer path short and listens somewhere else. */
const MAX_SOCKET_PATH_BYTES = process.platform === 'linux' ? 107 : 103;

export interface ListenerOptions {
  /** Permission bits of a unix socket. */
  readonly unixSocketMode: number;
  /** A connection could not be accepted, as when the process is out of file descriptors; others may be. */
  readonly onListenerError: (error: Error) => void;
}

/**
 * Listens, and tells where: the port is the bound one if 0 was asked for.
 * @throws the system's error if the address cannot be bound; a unix socket that nobody answers on is replaced.
 */
export async function listen(
  server: Server,
  target: ListenTarget,
  { unixSocketMode, onListenerError }: ListenerOptions,
): Promise<ListenTarget> {
  const bound =
    target.kind === 'tcp' ? await bindTcp(server, target) : await bindUnix(server, target, unixSocketMode);
  server.on('error', onListenerError);
  return bound;
}

type Tcp = Extract<ListenTarget, { kind: 'tcp' }>;
type Unix = Extract<ListenTarget, { kind: 'unix' }>;

async function bindTcp(server: Server, target: Tcp): Promise<Tcp> {
  await bind(server, { host: target.host, port: target.port });
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? { ...target, port: bound.port } : target;
}

async function bindUnix(server: Server, target: Unix, unixSocketMode: number): Promise<Unix> {
  if (Buffer.byteLength(target.path) > MAX_SOCKET_PATH_BYTES) {
    throw Object.assign(new Error('the path is too long'), { code: 'ENAMETOOLONG' });
  }
  // Before the first try: node:cluster numbers a worker's tries, and lets workers share only those of one number.
  if (await isStale(target.path)) unlinkSync(target.path);
  await bind(server, { path: target.path });
  chmodSync(target.path, unixSocketMode);
  return target;
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

/** Whether a path is a socket that no process listens on: the file of one that died stays behind. */
async function isStale(path: string): Promise<boolean> {
  const isSocket = lstatSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
  return isSocket && !(await isAnswered(path));
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
}
