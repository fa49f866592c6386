/** Tests that `serve` survives errors on stdout and stderr, and that SIGUSR1 does not open a debugger. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { readReadyz } from '../support/admin-pages.ts';
import { createCheckClient, metadataOf, requestWith } from '../support/grpc-client.ts';
import { PATIENCE } from '../support/patience.ts';
import { killAtExit } from '../support/platform-tool.ts';
import { collect, startServe } from '../support/process.ts';
import { SECRET } from '../support/token.ts';
import { readyWorkers } from '../support/workers.ts';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
/** Their log lines exceed the capacity of a pipe (64 KiB on Linux). */
const CHECKS = 200;

const folder = mkdtempSync(join(tmpdir(), 'streams-'));
const socket = join(folder, 'authz.sock');
const config = join(folder, 'config.yaml');
let child: ChildProcess | undefined;
afterEach(() => {
  child?.kill('SIGKILL');
  child = undefined;
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Starts `serve` with every trace on, on a Unix socket, as the line with its port may be lost. */
function start(stdio: StdioOptions): ChildProcess {
  child = spawn(process.execPath, [CLI], {
    stdio,
    env: {
      APPROOV_BASE64_SECRET: SECRET,
      APPROOV_GRPC_LISTEN: `unix:${socket}`,
      APPROOV_ADMIN_LISTEN: '127.0.0.1:0',
      GRPC_TRACE: 'all',
      GRPC_VERBOSITY: 'DEBUG',
      NODE_DEBUG: 'http2,net,stream',
      LOG_LEVEL: 'trace',
    },
  });
  killAtExit(child);
  return child;
}

async function expectServedAndDrained(serve: ChildProcess): Promise<void> {
  const client = createCheckClient(`unix:${socket}`);
  const ended = once(serve, 'exit');
  await vi.waitFor(() => client.check(requestWith({})), PATIENCE);
  for (let checks = 0; checks < CHECKS; checks++) {
    const answer = await client.check(requestWith({ 'user-agent': 'x'.repeat(200) }));
    expect(metadataOf(answer)['approov_reason']).toBe('missing_approov_token');
  }
  client.close();
  serve.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
}

describe('serve answers and drains', () => {
  test('with its output on a full disk (ENOSPC)', async () => {
    const full = openSync('/dev/full', 'w');
    const serve = start(['ignore', full, full]);
    closeSync(full);
    await expectServedAndDrained(serve);
  });

  test('with closed pipes (EPIPE)', async () => {
    const serve = start(['ignore', 'pipe', 'pipe']);
    serve.stdout?.destroy();
    serve.stderr?.destroy();
    await expectServedAndDrained(serve);
  });

  test('with pipes that nobody reads, and buffers nothing for stderr', async () => {
    const serve = start(['ignore', 'pipe', 'pipe']);
    await expectServedAndDrained(serve);
    const errors = collect(serve.stderr);
    serve.stdout?.resume();
    await once(serve, 'close');
    expect(errors()).toBe('');
  });
});

test('SIGHUP while serve is loaded does not end it', async () => {
  const hooks = `export async function resolve(specifier, context, next) {
    if (specifier.endsWith('/serve.js')) process.kill(process.pid, 'SIGHUP');
    return next(specifier, context);
  }`;
  const hooksUrl = `data:text/javascript;base64,${Buffer.from(hooks).toString('base64')}`;
  const preload = `import { register } from 'node:module'; register('${hooksUrl}');`;
  const service = await startServe({
    APPROOV_BASE64_SECRET: SECRET,
    NODE_OPTIONS: `--import=data:text/javascript;base64,${Buffer.from(preload).toString('base64')}`,
  });
  try {
    expect(await readReadyz(service.admin)).toMatchObject({ status: 200 });
  } finally {
    await service.kill();
  }
});

test('SIGUSR1 does not open a debugger in the primary or a worker', async () => {
  writeFileSync(config, 'workers: 2');
  const service = await startServe({ APPROOV_BASE64_SECRET: SECRET }, ['--config', config]);
  const client = createCheckClient(service.grpc);
  try {
    const pids = [service.pid, ...(await readyWorkers(service))];
    for (const pid of pids) process.kill(pid, 'SIGUSR1');
    for (let checks = 0; checks < CHECKS; checks++) {
      expect(metadataOf(await client.check(requestWith({})))['approov_reason']).toBe('missing_approov_token');
    }
    // Node would print a line if a debugger opened or found its port in use.
    expect(service.errors()).toBe('');
    expect([service.pid, ...(await readyWorkers(service))]).toEqual(pids);
  } finally {
    client.close();
    await service.kill();
  }
});

test('a command that reads endless input ends with one line on stderr', async () => {
  const zero = openSync('/dev/zero', 'r');
  child = spawn(process.execPath, [CLI, 'explain', '--token', '-'], {
    stdio: [zero, 'pipe', 'pipe'],
    env: { APPROOV_BASE64_SECRET: SECRET },
  });
  closeSync(zero);
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  expect(await once(child, 'close')).toEqual([2, null]);
  expect([stdout(), stderr()]).toEqual([
    '',
    'approov-ext-authz: stdin: more than 1048576 bytes (see approov-ext-authz explain --help)\n',
  ]);
});
