/** Tests binding to TCP addresses and Unix sockets. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ListenAddress } from '../../../src/config/address.ts';
import { listen } from '../../../src/net/listener.ts';

let folder: string;
let servers: Server[];
let errors: string[];
beforeEach(() => {
  errors = [];
  folder = mkdtempSync(join(tmpdir(), 'listener-'));
  servers = [];
});
afterEach(async () => {
  for (const server of servers.filter(({ listening }) => listening))
    await new Promise((done) => server.close(done));
  rmSync(folder, { recursive: true });
});

async function start(address: ListenAddress, unixSocketMode = 0o660): Promise<ListenAddress> {
  const server = createServer((socket) => socket.on('error', () => {}).end('hello'));
  servers.push(server);
  return listen(server, address, { unixSocketMode, onListenerError: (error) => errors.push(error.message) });
}

async function answers(address: ListenAddress): Promise<boolean> {
  const socket = address.kind === 'unix' ? connect(address.path) : connect(address.port, address.host);
  const [data] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return data.toString() === 'hello';
}

/** Leaves a socket that no process listens on, as a killed process does. */
async function leaveStaleSocket(path: string): Promise<void> {
  const script = 'require("net").createServer().listen(process.argv[1], () => console.log("up"))';
  const child = spawn(process.execPath, ['-e', script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  expect(existsSync(path)).toBe(true);
}

test('an accept error is reported, and the server keeps listening', async () => {
  const bound = await start({ kind: 'tcp', host: '127.0.0.1', port: 0 });
  servers[0]?.emit('error', new Error('accept EMFILE'));
  expect(errors).toEqual(['accept EMFILE']);
  expect(await answers(bound)).toBe(true);
});

describe('a TCP address', () => {
  test('with port 0 resolves to the port that the system chose', async () => {
    const bound = await start({ kind: 'tcp', host: '127.0.0.1', port: 0 });
    expect(bound).toEqual({ kind: 'tcp', host: '127.0.0.1', port: expect.any(Number) });
    expect(bound.kind === 'tcp' && bound.port > 0).toBe(true);
    expect(await answers(bound)).toBe(true);
  });

  test('in use is an error', async () => {
    const bound = await start({ kind: 'tcp', host: '127.0.0.1', port: 0 });
    await expect(start(bound)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(await answers(bound)).toBe(true);
  });

  test('of another host is an error', async () => {
    const address: ListenAddress = { kind: 'tcp', host: '198.51.100.1', port: 0 };
    await expect(start(address)).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
  });
});

describe('a Unix socket', () => {
  const socketIn = (directory: string): ListenAddress & { kind: 'unix' } => ({
    kind: 'unix',
    path: join(directory, 'a.sock'),
  });

  test.each([0o660, 0o600, 0o666])('has the configured permissions (%o)', async (mode) => {
    const address = await start(socketIn(folder), mode);
    expect(statSync(socketIn(folder).path).mode & 0o777).toBe(mode);
    expect(await answers(address)).toBe(true);
  });

  test('left behind by a killed process is replaced', async () => {
    await leaveStaleSocket(socketIn(folder).path);
    expect(await answers(await start(socketIn(folder)))).toBe(true);
  });

  test('that another server listens on is an error, and that server is not disturbed', async () => {
    const address = await start(socketIn(folder));
    await expect(start(address)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(await answers(address)).toBe(true);
  });

  test('is removed when its server closes', async () => {
    await start(socketIn(folder));
    await new Promise((done) => servers[0]?.close(done));
    expect(existsSync(socketIn(folder).path)).toBe(false);
  });

  test('does not replace a file that is not a socket', async () => {
    const address = socketIn(folder);
    writeFileSync(address.path, 'precious');
    await expect(start(address)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(readFileSync(address.path, 'utf8')).toBe('precious');
  });

  test('does not replace a symlink to a file that is not a socket', async () => {
    const address = socketIn(folder);
    writeFileSync(join(folder, 'file'), 'precious');
    symlinkSync(join(folder, 'file'), address.path);
    await expect(start(address)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(readFileSync(address.path, 'utf8')).toBe('precious');
  });

  test('in a missing directory is an error', async () => {
    await expect(start(socketIn(join(folder, 'none')))).rejects.toThrow();
  });

  test('with a path over the system limit is an error, and is not bound at a truncated path', async () => {
    const path = join(folder, 'x'.repeat(120));
    await expect(start({ kind: 'unix', path })).rejects.toThrow();
    expect(servers[0]?.listening).toBe(false);
  });
});
