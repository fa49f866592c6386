/** Connects to Redis or Valkey with the optional package `redis`. */
import { type Connect, StoreError } from './store-connection.ts';

export interface RedisOptions {
  /** `redis:` or `rediss:`, with the database as its path if it is not 0, and without user name and password. */
  readonly url: string;
  /** PEM: the only trusted certificate authorities. `undefined`: those of Node. */
  readonly ca?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

/** Shorter than the caller waits: the library forgets, and does not close, a socket that connects later. */
const CONNECT_TIMEOUT_MS = 1500;

const MISSING_PACKAGE = 'the package redis is not installed: npm install redis@6';

/** What is wrong with an installation that is to use a store. */
export async function redisProblem(): Promise<string | undefined> {
  try {
    await import('redis');
    return undefined;
  } catch {
    return MISSING_PACKAGE;
  }
}

export function redisConnect(options: RedisOptions): Connect {
  return async (signal, onLost) => {
    const { createClient, ConnectionTimeoutError } = await import('redis').catch(() => {
      throw new StoreError(MISSING_PACKAGE);
    });
    signal.throwIfAborted();
    const client = createClient(clientOptions(options));
    client.on('error', (error) => {
      const isTimeout = error instanceof ConnectionTimeoutError;
      onLost(isTimeout ? new StoreError(`no connection in ${CONNECT_TIMEOUT_MS} ms`) : error);
    });
    signal.addEventListener('abort', () => client.destroy(), { once: true });
    await client.connect();
    if (signal.aborted) client.destroy();
    return {
      async setIfAbsent(key, value, ttlMs) {
        const expiry = ttlMs === undefined ? [] : ['PX', String(ttlMs)];
        return client.sendCommand<string | null>(['SET', key, value, 'NX', 'GET', ...expiry]);
      },
      info: async () => client.sendCommand<string>(['INFO', 'server', 'stats']),
    };
  };
}

function clientOptions({ url, ca, username, password }: RedisOptions) {
  const socket = { reconnectStrategy: false, connectTimeout: CONNECT_TIMEOUT_MS } as const;
  return {
    url,
    // RESP3 negotiates what is not used here, and not every compatible store has it.
    RESP: 2,
    maintNotifications: 'disabled',
    disableClientInfo: true,
    // Otherwise a command of a lost connection might be sent to another server process, which remembers other marks.
    disableOfflineQueue: true,
    socket: ca === undefined ? socket : { ...socket, tls: true as const, ca },
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  } as const;
}
