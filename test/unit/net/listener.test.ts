/** Owns the proof that an address is listened on, and that nothing which is in use or no socket gives way for it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ListenTarget, listen } from '../../../src/net/listener.ts';

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

async function start(target: ListenTarget, unixSocketMode = 0o660): Promise<ListenTarget> {
  const server = createServer((socket) => socket.on('error', () => {}).end('hello'));
  servers.push(server);
  return listen(server, target, { unixSocketMode, onListenerError: (error) => errors.push(error.message) });
}

async function answers(target: ListenTarget): Promise<boolean> {
  const socket = target.kind === 'unix' ? connect(target.path) : connect(target.port, target.host);
  const [data] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return data.toString() === 'hello';
}

/** What a process that was killed leaves behind: a socket that nobody answers on. */
async function leaveStaleSocket(path: string): Promise<void> {
  const script = 'require("net").createServer().listen(process.argv[1], () => console.log("up"))';
  const child = spawn(process.execPath, ['-e', script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  expect(existsSync(path)).toBe(true);
}

test('a connection that cannot be accepted is told, and ends nothing', async () => {
  const bound = await start({ kind: 'tcp', host: '127.0.0.1', port: 0 });
  servers[0]?.emit('error', new Error('accept EMFILE'));
  expect(errors).toEqual(['accept EMFILE']);
  expect(await answers(bound)).toBe(true);
});

describe('a TCP address', () => {
  test('with port 0 is told with the port that was found', async () => {
    const bound = await start({ kind: 'tcp', host: '127.0.0.1', port: 0 });
    expect(bound).toEqual({ kind: 'tcp', host: '127.0.0.1', port: expect.any(Number) });
    expect(bound.kind === 'tcp' && bound.port > 0).toBe(true);
    expect(await answers(bound)).toBe(true);
  });

  test('that is taken is an error', async () => {
    const bound = await start({ kind: 'tcp', host: '127.0.0.1', port: 0 });
    await expect(start(bound)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(await answers(bound)).toBe(true);
  });

  test('that is not ours is an error', async () => {
    const target: ListenTarget = { kind: 'tcp', host: '198.51.100.1', port: 0 };
    await expect(start(target)).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
  });
});

describe('a unix socket', () => {
  const socketIn = (place: string): ListenTarget & { kind: 'unix' } => ({
    kind: 'unix',
    path: join(place, 'a.sock'),
  });

  test.each([0o660, 0o600, 0o666])('has the permissions that were asked for (%o)', async (mode) => {
    const target = await start(socketIn(folder), mode);
    expect(statSync(socketIn(folder).path).mode & 0o777).toBe(mode);
    expect(await answers(target)).toBe(true);
  });

  test('that a dead process left behind is replaced', async () => {
    await leaveStaleSocket(socketIn(folder).path);
    expect(await answers(await start(socketIn(folder)))).toBe(true);
  });

  test('that somebody answers on is an error, and is left to them', async () => {
    const target = await start(socketIn(folder));
    await expect(start(target)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(await answers(target)).toBe(true);
  });

  test('is gone once its server has closed', async () => {
    await start(socketIn(folder));
    await new Promise((done) => servers[0]?.close(done));
    expect(existsSync(socketIn(folder).path)).toBe(false);
  });

  test('cannot take the place of a file that is none: the file stays', async () => {
    const target = socketIn(folder);
    writeFileSync(target.path, 'precious');
    await expect(start(target)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(readFileSync(target.path, 'utf8')).toBe('precious');
  });

  test('cannot take the place of a link to a file that is none', async () => {
    const target = socketIn(folder);
    writeFileSync(join(folder, 'file'), 'precious');
    symlinkSync(join(folder, 'file'), target.path);
    await expect(start(target)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect(readFileSync(target.path, 'utf8')).toBe('precious');
  });

  test('in a folder that is not there is an error', async () => {
    await expect(start(socketIn(join(folder, 'none')))).rejects.toThrow();
  });

  test('whose path is longer than the system takes is an error, and none is left under a shortened path', async () => {
    const path = join(folder, 'x'.repeat(120));
    await expect(start({ kind: 'unix', path })).rejects.toThrow();
    expect(servers[0]?.listening).toBe(false);
  });
});
