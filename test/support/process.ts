/** Runs the built command line as a process. `npm test` builds it first. */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { killAtExit } from './platform-tool.ts';
import { NODE_OPTIONS } from './transport.ts';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The errors on stderr: one line each after the program's name, and no stack trace. */
export function errorsOf({ stderr }: Finished): string[] {
  const lines = stderr.split('\n');
  expect(lines.pop()).toBe('');
  for (const line of lines) expect(line).toMatch(/^approov-ext-authz: \S/);
  expect(stderr).not.toMatch(/^\s+at |Error:|node:internal/m);
  return lines.map((line) => line.slice('approov-ext-authz: '.length));
}

/** Runs a command to completion. Its environment is `env` and PATH. */
export async function runCli(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  stdin = '',
): Promise<Finished> {
  const child = spawnCli(args, env);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  child.stdin?.end(stdin);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout: stdout(), stderr: stderr() };
}

export interface RunningService {
  /** host:port or unix:/path of the gRPC listener. */
  readonly grpc: string;
  /** host:port of the admin pages. */
  readonly admin: string;
  readonly pid: number;
  /** Every JSON line of stdout so far. */
  logLines(): readonly Readonly<Record<string, unknown>>[];
  /** All of stdout and stderr so far. */
  output(): string;
  /** All of stderr so far. */
  errors(): string;
  signal(name: NodeJS.Signals): void;
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>;
  /** Ends it at once with SIGKILL. */
  kill(): Promise<void>;
}

/** Starts `serve` on free ports of loopback (unless `env` names others) and waits until it serves. */
export async function startServe(
  env: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): Promise<RunningService> {
  const child = spawnCli(['serve', ...args], {
    APPROOV_GRPC_LISTEN: '127.0.0.1:0',
    APPROOV_ADMIN_LISTEN: '127.0.0.1:0',
    ...env,
  });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const lines = (): Record<string, unknown>[] =>
    stdout()
      .split('\n')
      // The rest is not a complete line yet.
      .slice(0, -1)
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const serving = await new Promise<Record<string, unknown>>((resolve, reject) => {
    const look = (): void => {
      const line = lines().find(({ msg }) => msg === 'serving');
      if (line !== undefined) resolve(line);
    };
    child.stdout?.on('data', look);
    void ended.then((code) => reject(new Error(`serve exited with ${code}: ${stderr()}`)));
  });
  return {
    grpc: String(serving['grpc']),
    admin: String(serving['admin']),
    pid: Number(child.pid),
    logLines: lines,
    output: () => stdout() + stderr(),
    errors: stderr,
    signal: (name) => void child.kill(name),
    ended,
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

interface PrettyService extends Pick<RunningService, 'grpc' | 'output' | 'kill' | 'ended'> {
  /** Types on the terminal. */
  type(keys: string): void;
}

/** Starts `serve` with a log for people, on a terminal or on a pipe, and waits until it serves. */
export async function startPretty(
  args: readonly string[],
  { env = {}, isTerminal = false }: { env?: Readonly<Record<string, string>>; isTerminal?: boolean } = {},
): Promise<PrettyService> {
  const addresses = { APPROOV_GRPC_LISTEN: '127.0.0.1:0', APPROOV_ADMIN_LISTEN: '127.0.0.1:0' };
  const child = isTerminal
    ? spawnOnTerminal(['serve', ...args], { ...addresses, ...env })
    : spawnCli(['serve', ...args], { ...addresses, ...env });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const grpc = await new Promise<string>((resolve, reject) => {
    child.stdout?.on('data', () => {
      const address = /serving.*"grpc":"([^"]+)"/.exec(stdout())?.[1];
      if (address !== undefined) resolve(address);
    });
    void ended.then((code) => reject(new Error(`serve exited with ${code}: ${stdout()}${stderr()}`)));
  });
  return {
    grpc,
    output: () => stdout() + stderr(),
    ended,
    type: (keys) => void child.stdin?.write(keys),
    async kill() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** With a pseudo-terminal by script (util-linux). */
function spawnOnTerminal(args: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  const command = [process.execPath, ...NODE_OPTIONS, CLI, ...args].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qefc', `exec ${command}`, '/dev/null'], {
    env: { PATH: process.env['PATH'], TERM: 'xterm-256color', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  // It passes SIGTERM on; killed, it would leave a service behind, for which a hang-up is a request to reload.
  killAtExit(child, 'SIGTERM');
  return child;
}

/** Starts a command without waiting for it. */
export function spawnCli(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ChildProcessWithoutNullStreams {
  const child = spawn(process.execPath, [...NODE_OPTIONS, CLI, ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  killAtExit(child);
  return child;
}

/** Collects the text of a stream so far. */
export function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = '';
  stream?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return () => text;
}
