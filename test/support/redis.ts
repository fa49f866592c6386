/** Runs a Redis server on a port of loopback that stays the same across restarts. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './cluster.ts';
import { freePort, type RunningTool, runToolOrThrow, startTool } from './platform-tool.ts';
import { program } from './requirement.ts';

export const REDIS = program(
  'redis-server',
  ['--version'],
  'the package redis-server of your system, 7.0 or later',
);

export interface RunningRedis {
  readonly port: number;
  readonly url: string;
  /** Runs a command with redis-cli. */
  command(...args: readonly string[]): Promise<string>;
  pause(): void;
  resume(): void;
  /** With SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again, with an empty memory. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** @param options of redis-server, such as `--requirepass`. */
export async function startRedis(...options: readonly string[]): Promise<RunningRedis> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'redis-'));
  const isTls = options.includes('--tls-cert-file');
  const ports = isTls ? ['--port', '0', '--tls-port', String(port)] : ['--port', String(port)];
  const memoryOnly = ['--save', '', '--appendonly', 'no', '--dir', folder, '--bind', '127.0.0.1'];
  let server: RunningTool;

  async function start(): Promise<void> {
    server = startTool('redis-server', [...ports, ...memoryOnly, ...options]);
    await eventually('redis-server', async () => {
      if (!server.isRunning()) throw new Error(server.output());
      return server.output().includes('Ready to accept connections') ? true : undefined;
    });
  }

  async function kill(): Promise<void> {
    process.kill(server.pid, 'SIGKILL');
    await server.stop();
  }

  await start();
  return {
    port,
    url: `${isTls ? 'rediss' : 'redis'}://localhost:${port}`,
    command: (...args) => runToolOrThrow('redis-cli', ['-p', String(port), ...args]),
    pause: () => void process.kill(server.pid, 'SIGSTOP'),
    resume: () => void process.kill(server.pid, 'SIGCONT'),
    kill,
    start,
    async stop() {
      await kill();
      rmSync(folder, { recursive: true });
    },
  };
}

/** A TCP proxy, by which a client reaches another server at the same address: a failover. */
export async function startProxy(firstPort: number) {
  let port = firstPort;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.pipe(upstream).pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: own } = server.address() as { port: number };
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `redis://localhost:${own}`,
    /** Breaks every connection. */
    failOverTo(next: number): void {
      port = next;
      cut();
    },
    close(): void {
      server.close();
      cut();
    },
  };
}
