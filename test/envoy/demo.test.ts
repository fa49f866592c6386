/** Tests `npm run demo`: its output, that its commands work, that it keeps its secret private, and that it cleans up. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHAPTERS } from '../../scripts/demo/story.mjs';
import { findEnvoy } from '../../scripts/envoy.mjs';
import { eventually } from '../support/envoy.ts';

const run = promisify(execFile);

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

function startDemo(args: readonly string[], env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, ['scripts/demo.mjs', ...args], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return { child, output: () => output, ended };
}

/** npx links the package when it is first used, and builds `dist` again then, which other tests run from. */
const NPX = 'npx() { shift; node dist/cli.js "$@"; }';

/** Runs commands as someone pastes them, at the root of the clone. */
async function paste(commands: string): Promise<string> {
  const { stdout } = await run('bash', ['-c', `${NPX}\n${commands}`], { cwd: ROOT });
  return stdout;
}

describe('the demo with --keep', () => {
  /** The folder of Envoy's temporary files. */
  const temporary = mkdtempSync(join(tmpdir(), 'demo-'));
  let child: ChildProcess;
  let ended: Promise<number | null>;
  let output: () => string;

  beforeAll(async () => {
    const env = { TMPDIR: temporary, ENVOY_BIN: await findEnvoy() };
    ({ child, ended, output } = startDemo(['--keep', '--port', '0'], env));
    await eventually(
      () => output().includes("service's log follows") || child.exitCode !== null || undefined,
      110,
    );
  });
  afterAll(async () => {
    // Not SIGKILL, which would leave its child processes running.
    child?.kill('SIGINT');
    await ended;
    rmSync(temporary, { recursive: true });
  });

  /** The first group of a pattern's first match. */
  const printed = (pattern: RegExp): string => pattern.exec(output())?.[1] ?? `nothing like ${pattern}`;
  const folder = (): string => join(ROOT, printed(/ in (\S+)\/config\.yaml/));

  test('gets the expected answer to every request', () => {
    const rows = CHAPTERS.flatMap((chapter) => [...(chapter.edit ? ['the edit'] : []), ...chapter.rows]);
    expect(rows).toHaveLength(27);
    expect(output()).toContain('\nAll 27 answers as expected, in ');
    expect(output().match(/^ {2}✓ /gm)).toHaveLength(27);
    expect(output()).not.toContain('✗');
  });

  test('goes from observe to limit to enforce without a restart', () => {
    const modes = [...output().matchAll(/^ {4}mode: (\w+ -> \w+) in .*, no restart$/gm)];
    expect(modes.map(([, change]) => change)).toEqual(['observe -> limit', 'limit -> enforce']);
    const checks = [...output().matchAll(/^ {4}(\w+) +(\w+) +missing_approov_token +(\d+)$/gm)];
    expect(checks.map(([, mode, action]) => [mode, action])).toEqual([
      ['observe', 'allow'],
      ['limit', 'limit'],
      ['enforce', 'deny'],
    ]);
    // Envoy asks again if an answer takes longer than its timeout, as on a busy machine, so a request may count twice.
    const sent = [2, 31, 4];
    for (const [index, [, , , count]] of checks.entries()) {
      expect(Number(count)).toBeGreaterThanOrEqual(sent[index] ?? 0);
      expect(Number(count)).toBeLessThanOrEqual(2 * (sent[index] ?? 0));
    }
  });

  test('prints at most 80 columns, and no colours unless on a terminal', () => {
    const [screen = ''] = output().split("The service's log follows");
    expect(screen.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(screen).not.toContain('\u001b');
  });

  test('prints the log line of the forged token, unchanged but for line breaks', () => {
    const [, block = ''] = /^LOG .*\n((?: {4}.*\n)+)/m.exec(output()) ?? [];
    const line = block.replaceAll(/^ +|\n/gm, '');
    expect(JSON.parse(line)).toMatchObject({
      reason: 'invalid_token_signature',
      would_deny: true,
      alg: 'HS256',
    });
    expect(output()).not.toContain(readFileSync(join(folder(), 'forged'), 'utf8').split('.')[2]?.trim());
  });

  test('prints curl commands that get the answers printed above them', async () => {
    const [, enforcing = ''] = output().split('\nENFORCE');
    const rows = [...enforcing.matchAll(/^ {2}✓ .{29} {2}(\d+) .*\n((?: {4,6}.*\n)+)/gm)].filter(
      ([, , how = '']) => how.includes('curl -i'),
    );
    expect(rows).toHaveLength(19);
    // On a busy machine Envoy answers 503 if a check exceeds the timeout of the sample.
    const curl = `curl() { command curl --silent --retry 5 --output /dev/null --write-out '%{http_code} ' "$@"; }`;
    const statuses = await paste([curl, ...rows.map(([, , how]) => how)].join('\n'));
    expect(statuses.trim().split(' ')).toEqual(rows.map(([, expected]) => expected));
  });

  test('prints commands that show the status, and the reason for the denial', async () => {
    const commands = printed(/or try:\n((?: {4,6}.*\n)+?) {4}curl /);
    const shown = await paste(`${commands}true`);
    expect(shown).toMatch(/^approov-ext-authz [\d.]+.*, up /);
    expect(shown).toMatch(/^refused: the token expired \d/m);
  });

  test('keeps the secret and the tokens in files that only their owner can read', () => {
    expect(readdirSync(folder()).sort()).toEqual([
      'alice',
      'config.yaml',
      'expired',
      'forged',
      'order',
      'phone',
      'secret',
      'signed',
      'stolen',
      'valid',
    ]);
    expect(statSync(folder()).mode & 0o777).toBe(0o700);
    const secret = readFileSync(join(folder(), 'secret'), 'utf8');
    expect(Buffer.from(secret, 'base64')).toHaveLength(64);
    expect(output()).not.toContain(secret);
  });

  test('stops everything it started and deletes its files on Ctrl-C', async () => {
    const files = folder();
    const addresses = ['127.0.0.1:\\d+/orders', '127.0.0.1:\\d+/metrics', '127.0.0.1:\\d+/stats'].map(
      (address) => `http://${printed(new RegExp(`(${address})`))}`,
    );
    const servicePid = Number(printed(/"pid":(\d+)/));
    for (const url of addresses) expect((await fetch(url)).status).toBeGreaterThanOrEqual(200);
    expect(process.kill(servicePid, 0)).toBe(true);

    child.kill('SIGINT');
    expect(await ended).toBe(130);
    for (const url of addresses)
      await eventually(() =>
        fetch(url).then(
          () => undefined,
          () => true,
        ),
      );
    await eventually(() => {
      try {
        process.kill(servicePid, 0);
        return undefined;
      } catch {
        return true;
      }
    });
    expect(readdirSync(temporary)).toEqual([]);
    expect(existsSync(files)).toBe(false);
  });
});

describe('the demo fails with one line', () => {
  test('when there is no Envoy', async () => {
    const { ended, output } = startDemo([], { ENVOY_BIN: '/nowhere/envoy' });
    expect(await ended).toBe(1);
    expect(output()).toBe('demo: ENVOY_BIN: /nowhere/envoy is not an executable file\n');
  });

  test('when its port is in use', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const { ended, output } = startDemo(['--port', `${port}`], { ENVOY_BIN: process.execPath });
    expect(await ended).toBe(1);
    server.close();
    expect(output()).toBe(
      `demo: port ${port} is in use; stop what uses it, or choose another: npm run demo -- --port 10080\n`,
    );
  });

  test('when an option is wrong', async () => {
    const { ended, output } = startDemo(['--port', '99999'], {});
    expect(await ended).toBe(1);
    expect(output()).toBe('demo: --port 99999: not a port (usage: npm run demo -- [--keep] [--port N])\n');
  });
});
