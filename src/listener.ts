/** Owns listening on a TCP address or a unix socket. */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, type ListenOptions, type Server } from 'node:net';

export type ListenTarget =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Of sockaddr_un, with its NUL left out: libuv cuts a longer path short and listens somewhere else. */
const MAX_SOCKET_PATH_BYTES = process.platform === 'linux' ? 107 : 103;

/**
 * Listens, and tells where: the port is the bound one if 0 was asked for.
 * @param socketMode permission bits of a unix socket.
 * @throws the system's error if the address cannot be bound; a unix socket that nobody answers on is replaced.
 */
export async function listen(
  server: Server,
  target: ListenTarget,
  socketMode: number,
): Promise<ListenTarget> {
  if (target.kind === 'tcp') {
    await bind(server, { host: target.host, port: target.port });
    const bound = server.address();
    return typeof bound === 'object' && bound !== null ? { ...target, port: bound.port } : target;
  }
  if (Buffer.byteLength(target.path) > MAX_SOCKET_PATH_BYTES) {
    throw Object.assign(new Error('the path is too long'), { code: 'ENAMETOOLONG' });
  }
  try {
    await bind(server, { path: target.path });
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    if (!isTaken || !isSocket(target.path) || (await isAnswered(target.path))) throw error;
    unlinkSync(target.path);
    await bind(server, { path: target.path });
  }
  chmodSync(target.path, socketMode);
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

function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}

/** Whether a process listens on a unix socket; the file of one that died stays behind. */
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
