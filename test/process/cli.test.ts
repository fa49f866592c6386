/** Tests the command line: exit codes, help, and one readable line per error. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { collect, errorsOf, type RunningService, runCli, spawnCli, startServe } from '../support/process.ts';
import { SECRET } from '../support/token.ts';

const folder = mkdtempSync(join(tmpdir(), 'cli-'));
const started: RunningService[] = [];
const servers: Server[] = [];
afterEach(async () => {
  for (const service of started.splice(0)) await service.kill();
  for (const server of servers.splice(0)) await new Promise((done) => server.close(done));
});
afterAll(() => rmSync(folder, { recursive: true }));

const ENV = {
  APPROOV_BASE64_SECRET: SECRET,
  APPROOV_GRPC_LISTEN: '127.0.0.1:0',
  APPROOV_ADMIN_LISTEN: '127.0.0.1:0',
};
const VERSION = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

function fileWith(content: string, name = 'config.yaml'): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

test('output that cannot be written is a failure, with exit 1', () => {
  const full = openSync('/dev/full', 'w');
  const args = [fileURLToPath(new URL('../../dist/cli.js', import.meta.url)), '--version'];
  const { status, stderr } = spawnSync(process.execPath, args, { stdio: ['ignore', full, 'pipe'] });
  closeSync(full);
  expect(status).toBe(1);
  expect(stderr.toString()).toContain('ENOSPC');
});

test('the build makes the command executable, as npx expects of a package that it has linked before', () => {
  expect(statSync(new URL('../../dist/cli.js', import.meta.url)).mode & 0o777).toBe(0o755);
});

test('--version prints only the version, with exit 0', async () => {
  expect(await runCli(['--version'])).toEqual({ code: 0, stdout: `${VERSION}\n`, stderr: '' });
});

test('bad usage is one line on stderr, with exit 2', async () => {
  const finished = await runCli(['frobnicate'], ENV);
  expect(finished).toMatchObject({ code: 2, stdout: '' });
  expect(errorsOf(finished)).toEqual([expect.stringContaining('no such command: frobnicate; known: ')]);
});

describe('a bad configuration is exit 2, one line per error with its path', () => {
  test('reports every error of the file, the environment and the keys at once', async () => {
    const config = `
keys: [{id: A, secretFile: ${folder}/none}, {id: b, secretFile: ${fileWith('c2hvcnQ=', 'short')}}]
listen: {grpc: nowhere}
policies: {default: {mode: maybe, extra: 1}}
routes: [{policy: gone}]
`;
    const finished = await runCli(['--config', fileWith(config)], { LOG_LEVEL: 'loud' });
    expect(finished).toMatchObject({ code: 2, stdout: '' });
    const paths = errorsOf(finished).map((line) => {
      const [place = '', path = ''] = line.split(': ');
      if (place === 'LOG_LEVEL') return place;
      expect(place).toMatch(/config\.yaml:\d:\d+$/);
      return path;
    });
    const expected = [
      'LOG_LEVEL',
      'keys[0].id',
      'keys[1].secretFile',
      'listen.grpc',
      'policies.default.extra',
      'policies.default.mode',
      'routes[0].policy',
    ];
    expect(paths.sort()).toEqual(expected);
  });
});

describe('a listener that cannot bind is exit 1, in one line', () => {
  async function takenPort(): Promise<string> {
    const server = createServer().listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    return `127.0.0.1:${(server.address() as { port: number }).port}`;
  }

  test.each(['APPROOV_GRPC_LISTEN', 'APPROOV_ADMIN_LISTEN'])('%s names a port in use', async (variable) => {
    const address = await takenPort();
    const finished = await runCli(['serve'], { ...ENV, [variable]: address });
    expect(finished.code).toBe(1);
    const field = variable === 'APPROOV_GRPC_LISTEN' ? 'listen.grpc' : 'listen.admin';
    expect(errorsOf(finished)).toEqual([
      `cannot listen on ${address}: another process or listener uses it (EADDRINUSE); set ${field} or ${variable}`,
    ]);
  });

  test('a Unix socket that another service listens on; that service is not disturbed', async () => {
    const socket = `unix:${join(folder, 'live.sock')}`;
    const first = await startServe({ ...ENV, APPROOV_GRPC_LISTEN: socket });
    started.push(first);
    const finished = await runCli(['serve'], { ...ENV, APPROOV_GRPC_LISTEN: socket });
    expect(finished.code).toBe(1);
    expect(errorsOf(finished)).toEqual([
      expect.stringContaining(
        `cannot listen on ${socket}: another process or listener uses it (EADDRINUSE); `,
      ),
    ]);
    expect((await runCli(['healthcheck'], { ...ENV, APPROOV_GRPC_LISTEN: socket })).code).toBe(0);
  });

  test('a file that is not a socket; the file is not changed', async () => {
    const path = fileWith('precious', 'precious');
    expect(await failedStart(`unix:${path}`)).toMatch(/^serve exited with 1: approov-ext-authz: [^\n]+\n$/);
    expect(readFileSync(path, 'utf8')).toBe('precious');
  });

  test('a missing directory, or a directory in place of the socket', async () => {
    mkdirSync(join(folder, 'folder'), { recursive: true });
    for (const path of [join(folder, 'none/a.sock'), join(folder, 'folder')]) {
      const [line = '', ...rest] = (await failedStart(`unix:${path}`)).split('\n');
      expect(line).toContain(`serve exited with 1: approov-ext-authz: cannot listen on unix:${path}: `);
      expect(rest).toEqual(['']);
    }
  });

  /** How the start of `serve` fails: its exit code, and all of stderr. */
  async function failedStart(grpc: string): Promise<string> {
    const starting = startServe({ ...ENV, APPROOV_GRPC_LISTEN: grpc });
    return starting.then(
      async (service) => {
        await service.kill();
        return 'started';
      },
      (error: Error) => error.message,
    );
  }
});

describe('a Unix socket left behind by a killed service', () => {
  test('is replaced', async () => {
    const path = join(folder, 'stale.sock');
    const env = { ...ENV, APPROOV_GRPC_LISTEN: `unix:${path}` };
    await (await startServe(env)).kill();
    expect(existsSync(path)).toBe(true);
    started.push(await startServe(env));
    expect((await runCli(['healthcheck'], env)).code).toBe(0);
  });
});

describe('the process', () => {
  test('runs serve if no command is given', async () => {
    const child = spawnCli([], { ...ENV, APPROOV_EXT_AUTHZ_SERVICE_HOST: '10.0.0.1' });
    const messages: unknown[] = [];
    for await (const line of createInterface(child.stdout)) {
      const { msg, version } = JSON.parse(line) as { msg: string; version?: string };
      messages.push(msg);
      if (msg !== 'serving') continue;
      child.kill('SIGKILL');
      expect(version).toBe(VERSION);
    }
    expect(messages).toContain('serving');
  });

  test('exits without an error message if its stdout is closed', async () => {
    const child = spawnCli(['check-config'], ENV);
    child.stdout.destroy();
    const stderr = collect(child.stderr);
    await once(child, 'close');
    expect(stderr()).toMatch(/^ok: [^\n]*\n$/);
  });
});
