/** Tests the command line: exit codes, help, and one readable line per error. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { COMMANDS as COMMAND_TABLE } from '../../src/commands/commands.ts';
import { type Finished, type RunningService, runCli, startServe } from '../support/process.ts';
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
const COMMANDS = [...COMMAND_TABLE.keys()];
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

/** The errors on stderr: one line each after the program's name, and no stack trace. */
function errorsOf({ stderr }: Finished): string[] {
  const lines = stderr.split('\n');
  expect(lines.pop()).toBe('');
  for (const line of lines) expect(line).toMatch(/^approov-ext-authz: \S/);
  expect(stderr).not.toMatch(/^\s+at |Error:|node:internal/m);
  return lines.map((line) => line.slice('approov-ext-authz: '.length));
}

describe('--help and --version', () => {
  test.each(['--help', '--version', '-h', '-v', 'help'])(
    '%s prints to stdout with exit 0, even if the configuration is bad',
    async (option) => {
      const finished = await runCli([option], { APPROOV_CONFIG: '/nowhere', APPROOV_MODE: 'bad' });
      expect(finished).toMatchObject({ code: 0, stderr: '' });
      expect(finished.stdout).toContain(VERSION);
    },
  );

  test('--version prints only the version', async () => {
    expect((await runCli(['--version'])).stdout).toBe(`${VERSION}\n`);
    expect((await runCli(['mint', '--version'])).stdout).toBe(`${VERSION}\n`);
    expect((await runCli(['-v'])).stdout).toBe(`${VERSION}\n`);
  });

  test('--help lists every command', async () => {
    const { stdout } = await runCli(['--help']);
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command} +\\S`, 'm'));
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  test.each(COMMANDS)('%s --help shows the usage of that command', async (command) => {
    const finished = await runCli([command, '--help']);
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    expect(finished.stdout).toContain(`usage: approov-ext-authz ${command} `);
    for (const line of finished.stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    for (const args of [
      [command, '-h'],
      ['help', command],
    ])
      expect(await runCli(args)).toEqual(finished);
  });

  test.each<[command: string, options: string[]]>([
    ['explain', ['--token', '--header', '--host', '--path', '--method', '--policy', '--at', '--json']],
    [
      'mint',
      [
        ...['--expires-in', '--bind', '--claim', '--key-id', '--invalid', '--sign-request METHOD URL'],
        ...['--header', '--body-file', '--install-key', '--account', '--token'],
      ],
    ],
  ])('%s --help lists each of its options', async (command, options) => {
    const { stdout } = await runCli([command, '--help']);
    for (const option of options) expect(stdout).toMatch(new RegExp(`${option}\\b`));
  });
});

describe('bad usage is exit 2', () => {
  test.each<[args: string[], message: string]>([
    [
      ['frobnicate'],
      'no such command: frobnicate; known: serve, check-config, explain, mint, healthcheck, status, config-schema, completion',
    ],
    [['toString'], 'no such command; known: '],
    [['chek-config'], 'no such command: chek-config; did you mean check-config?'],
    [['hlep'], 'no such command: hlep; did you mean help?'],
    [['help', 'explian'], 'no such command: explian; did you mean explain?'],
    [['--frobnicate'], 'no such option: --frobnicate'],
    [['serve', '--token', 'x'], 'no such option: --token'],
    [['serve', '-x'], 'no such option: -x'],
    [['explain', '--tokn=x'], 'no such option: --tokn; did you mean --token?'],
    [['explain', 'x'], 'unexpected argument; give a token with --token TOKEN, or pipe it in with --token -'],
    [['check-config', '--config'], '--config: needs a value'],
    [['mint', '--invalid=yes'], '--invalid: takes no value'],
    [['explain', '--token', '-x'], '--token'],
    [['explain', '--header', 'no colon'], '--header'],
    [['explain', '--at', 'yesterday'], '--at'],
    [['mint', '--expires-in', 'soon'], '--expires-in'],
    [['mint', '--claim', 'novalue'], '--claim'],
    [['mint', '--key-id', 'other'], '--key-id'],
  ])('%j', async (args, message) => {
    const finished = await runCli(args, ENV);
    expect(finished).toMatchObject({ code: 2, stdout: '' });
    expect(errorsOf(finished)).toEqual([expect.stringContaining(message)]);
  });

  test('ends with the command that shows the help', async () => {
    expect(errorsOf(await runCli(['explain', '--at', 'yesterday'], ENV))).toEqual([
      '--at: must be a time such as 2026-01-31T12:00:00Z, or seconds since the epoch (see approov-ext-authz explain --help)',
    ]);
  });

  test.each(COMMANDS)('%s does not quote an unexpected argument, which may be a token', async (command) => {
    const finished = await runCli([command, 'planted.planted.planted'], ENV);
    expect(finished).toMatchObject({ code: command === 'healthcheck' ? 1 : 2, stdout: '' });
    expect(errorsOf(finished)).toHaveLength(1);
    expect(finished.stderr).not.toContain('planted');
  });

  test.each([
    ['planted.planted.planted'],
    ['help', 'planted.planted.planted'],
    ['--Planted.planted.planted'],
    ['--planted1-_'],
    ['explain', '--tokn=planted'],
  ])('what may be a token is not quoted: %j %j', async (...args) => {
    const finished = await runCli(args, ENV);
    expect(finished.code).toBe(2);
    expect(finished.stderr).not.toMatch(/planted/i);
  });
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

  test.each<[name: string, env: Readonly<Record<string, string>>, message: string]>([
    [
      'no key',
      {},
      'keys: no key: set APPROOV_BASE64_SECRET or APPROOV_BASE64_SECRET_FILE, or keys in the file; the Approov CLI prints the secret: approov secret -get base64',
    ],
    ['an empty secret', { APPROOV_BASE64_SECRET: '   ' }, 'APPROOV_BASE64_SECRET: the secret is empty'],
    [
      'a secret of 31 bytes',
      { APPROOV_BASE64_SECRET: Buffer.alloc(31, 7).toString('base64') },
      'APPROOV_BASE64_SECRET: the secret decodes to 31 bytes; at least 32 are needed for HS256',
    ],
    [
      'a secret with other characters',
      { APPROOV_BASE64_SECRET: `${SECRET}!` },
      'APPROOV_BASE64_SECRET: the secret (89 characters) is neither base64 nor base64url',
    ],
    [
      'both variables',
      { APPROOV_BASE64_SECRET: SECRET, APPROOV_BASE64_SECRET_FILE: fileWith(SECRET, 'good') },
      'APPROOV_BASE64_SECRET: set together with APPROOV_BASE64_SECRET_FILE: give one',
    ],
    [
      'a missing file',
      { APPROOV_BASE64_SECRET_FILE: '/nowhere/x' },
      'APPROOV_BASE64_SECRET_FILE: /nowhere/x: no such file',
    ],
    [
      'a directory instead of a file',
      { APPROOV_BASE64_SECRET_FILE: '/' },
      'APPROOV_BASE64_SECRET_FILE: /: is a directory',
    ],
    [
      'a file below a file',
      { APPROOV_BASE64_SECRET_FILE: '/etc/passwd/x' },
      'APPROOV_BASE64_SECRET_FILE: /etc/passwd/x: a part of the path is not a directory',
    ],
    [
      'a bad mode',
      { APPROOV_BASE64_SECRET: SECRET, APPROOV_MODE: 'strict' },
      'APPROOV_MODE: "strict" is not a mode',
    ],
    [
      'a bad address',
      { APPROOV_BASE64_SECRET: SECRET, APPROOV_GRPC_LISTEN: '9001' },
      'APPROOV_GRPC_LISTEN: "9001" must be host:port, [v6]:port or unix:/path',
    ],
    [
      'a missing configuration file',
      { APPROOV_CONFIG: '/nowhere/c.yaml' },
      ': /nowhere/c.yaml: no such file',
    ],
  ])('%s', async (_name, env, message) => {
    const finished = await runCli(['serve'], env);
    expect(finished).toMatchObject({ code: 2, stdout: '' });
    expect(errorsOf(finished)).toEqual([expect.stringContaining(message)]);
  });

  test('ends with the command that shows the help', async () => {
    expect(errorsOf(await runCli(['explain', '--at', 'yesterday'], ENV))).toEqual([
      '--at: must be a time such as 2026-01-31T12:00:00Z, or seconds since the epoch (see approov-ext-authz explain --help)',
    ]);
  });

  test.each<[name: string, content: string]>([
    ['a file that is not YAML', 'a: [1'],
    ['a list', '- a'],
    ['a name over two lines', '"a\\nb": 1'],
    ['terminal control sequences', '"a\\e[2Jb": 1'],
  ])('%s', async (_name, content) => {
    const finished = await runCli(['--config', fileWith(content)], ENV);
    expect(finished).toMatchObject({ code: 2, stdout: '' });
    expect(errorsOf(finished)).toHaveLength(1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the characters that must not appear.
    expect(finished.stderr.trimEnd()).not.toMatch(/[\u0000-\u001f]/);
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
    const finished = await runServeBriefly(`unix:${path}`);
    expect(readFileSync(path, 'utf8')).toBe('precious');
    expect(finished.code).toBe(1);
    expect(errorsOf(finished)).toHaveLength(1);
  });

  test('a missing directory, or a directory in place of the socket', async () => {
    mkdirSync(join(folder, 'folder'), { recursive: true });
    for (const path of [join(folder, 'none/a.sock'), join(folder, 'folder')]) {
      const finished = await runServeBriefly(`unix:${path}`);
      expect(finished.code).toBe(1);
      expect(errorsOf(finished)).toEqual([expect.stringContaining(`cannot listen on unix:${path}: `)]);
    }
  });

  /** Also ends a service that unexpectedly starts. */
  async function runServeBriefly(grpc: string): Promise<Finished> {
    const env = { ...ENV, APPROOV_GRPC_LISTEN: grpc };
    const service = await startServe(env).catch(() => undefined);
    await service?.kill();
    return service === undefined
      ? runCli(['serve'], env)
      : { code: null, stdout: service.output(), stderr: '' };
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
    const cli = new URL('../../dist/cli.js', import.meta.url).pathname;
    const child = spawn(process.execPath, [cli], {
      env: { ...ENV, APPROOV_EXT_AUTHZ_SERVICE_HOST: '10.0.0.1' },
    });
    const messages: unknown[] = [];
    for await (const line of createInterface(child.stdout)) {
      const { msg, version } = JSON.parse(line) as { msg: string; version?: string };
      messages.push(msg);
      if (msg !== 'serving') continue;
      expect(version).toBe(VERSION);
      child.kill('SIGKILL');
    }
    expect(messages).toContain('serving');
  });

  test('exits without an error message if its stdout is closed', async () => {
    const cli = new URL('../../dist/cli.js', import.meta.url).pathname;
    const child = spawn(process.execPath, [cli, 'check-config'], { env: ENV });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    await once(child, 'close');
    expect(stderr).toMatch(/^ok: [^\n]*\n$/);
  });
});
