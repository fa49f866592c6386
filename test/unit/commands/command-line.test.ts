/** Tests a whole command line: exit codes, help, and one readable line per error. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { COMMANDS as COMMAND_TABLE } from '../../../src/commands/commands.ts';
import { runInProcess } from '../../support/in-process.ts';
import { errorsOf } from '../../support/process.ts';
import { SECRET } from '../../support/token.ts';

const folder = mkdtempSync(join(tmpdir(), 'command-line-'));
afterAll(() => rmSync(folder, { recursive: true }));

const ENV = {
  APPROOV_BASE64_SECRET: SECRET,
  APPROOV_GRPC_LISTEN: '127.0.0.1:0',
  APPROOV_ADMIN_LISTEN: '127.0.0.1:0',
};
const COMMANDS = [...COMMAND_TABLE.keys()];
const VERSION = (
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;

function fileWith(content: string, name = 'config.yaml'): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe('--help and --version', () => {
  test.each(['--help', '--version', '-h', '-v', 'help'])(
    '%s prints to stdout with exit 0, even if the configuration is bad',
    async (option) => {
      const finished = await runInProcess([option], { APPROOV_CONFIG: '/nowhere', APPROOV_MODE: 'bad' });
      expect(finished).toMatchObject({ code: 0, stderr: '' });
      expect(finished.stdout).toContain(VERSION);
    },
  );

  test('--version prints only the version', async () => {
    expect((await runInProcess(['--version'])).stdout).toBe(`${VERSION}\n`);
    expect((await runInProcess(['mint', '--version'])).stdout).toBe(`${VERSION}\n`);
    expect((await runInProcess(['-v'])).stdout).toBe(`${VERSION}\n`);
  });

  test('--help lists every command', async () => {
    const { stdout } = await runInProcess(['--help']);
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command} +\\S`, 'm'));
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  test.each(COMMANDS)('%s --help shows the usage of that command', async (command) => {
    const finished = await runInProcess([command, '--help']);
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    expect(finished.stdout).toContain(`usage: approov-ext-authz ${command} `);
    for (const line of finished.stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    for (const args of [
      [command, '-h'],
      ['help', command],
    ])
      expect(await runInProcess(args)).toEqual(finished);
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
    ['jwks', ['--output']],
  ])('%s --help lists each of its options', async (command, options) => {
    const { stdout } = await runInProcess([command, '--help']);
    for (const option of options) expect(stdout).toMatch(new RegExp(`${option}\\b`));
  });
});

describe('bad usage is exit 2', () => {
  test.each<[args: string[], message: string]>([
    [
      ['frobnicate'],
      'no such command: frobnicate; known: serve, check-config, explain, mint, healthcheck, status, rollout, jwks, override, config-schema, completion',
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
    const finished = await runInProcess(args, ENV);
    expect(finished).toMatchObject({ code: 2, stdout: '' });
    expect(errorsOf(finished)).toEqual([expect.stringContaining(message)]);
  });

  test('ends with the command that shows the help', async () => {
    expect(errorsOf(await runInProcess(['explain', '--at', 'yesterday'], ENV))).toEqual([
      '--at: must be a time such as 2026-01-31T12:00:00Z, or seconds since the epoch (see approov-ext-authz explain --help)',
    ]);
  });

  test.each(COMMANDS)('%s does not quote an unexpected argument, which may be a token', async (command) => {
    const finished = await runInProcess([command, 'planted.planted.planted'], ENV);
    expect(finished).toMatchObject({ code: command === 'healthcheck' ? 1 : 2, stdout: '' });
    expect(errorsOf(finished)).toHaveLength(1);
    expect(finished.stderr).not.toContain('planted');
  });

  test.each([
    [['planted.planted.planted']],
    [['help', 'planted.planted.planted']],
    [['--Planted.planted.planted']],
    [['--planted1-_']],
    [['explain', '--tokn=planted']],
  ])('what may be a token is not quoted: %j', async (args) => {
    const finished = await runInProcess(args, ENV);
    expect(finished.code).toBe(2);
    expect(finished.stderr).not.toMatch(/planted/i);
  });
});

describe('a bad configuration is exit 2, one line per error with its path', () => {
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
    const finished = await runInProcess(['serve'], env);
    expect(finished).toMatchObject({ code: 2, stdout: '' });
    expect(errorsOf(finished)).toEqual([expect.stringContaining(message)]);
  });

  test.each<[name: string, content: string]>([
    ['a file that is not YAML', 'a: [1'],
    ['a list', '- a'],
    ['a name over two lines', '"a\\nb": 1'],
    ['terminal control sequences', '"a\\e[2Jb": 1'],
  ])('%s', async (_name, content) => {
    const finished = await runInProcess(['--config', fileWith(content)], ENV);
    expect(finished).toMatchObject({ code: 2, stdout: '' });
    expect(errorsOf(finished)).toHaveLength(1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the characters that must not appear.
    expect(finished.stderr.trimEnd()).not.toMatch(/[\u0000-\u001f]/);
  });
});
