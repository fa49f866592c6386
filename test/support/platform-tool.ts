/** Runs the programs of platforms from PATH, to completion or in the background. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { promisify } from 'node:util';

const run = promisify(execFile);
const STOP_TIMEOUT_MS = 20_000;

interface Finished {
  readonly code: number;
  readonly output: string;
}

/** Runs a program to completion, and returns its output, stdout before stderr, whatever its exit code. */
export async function runTool(tool: string, args: readonly string[]): Promise<Finished> {
  try {
    const { stdout, stderr } = await run(tool, args, { maxBuffer: 64 * 1024 * 1024 });
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: unknown; stdout?: string; stderr?: string };
    if (typeof code !== 'number') throw error;
    return { code, output: `${stdout}${stderr}` };
  }
}

/** Like `runTool`, but throws on a non-zero exit code. */
export async function runToolOrThrow(tool: string, args: readonly string[]): Promise<string> {
  const { code, output } = await runTool(tool, args);
  if (code !== 0) throw new Error(`${tool} ${args[0]} ended with ${code}: ${output.trim().slice(-2000)}`);
  return output;
}

export interface RunningTool {
  readonly pid: number;
  /** All of stdout and stderr so far. */
  output(): string;
  isRunning(): boolean;
  /** Sends SIGTERM, then SIGKILL if the program does not exit. */
  stop(): Promise<void>;
}

const running = new Map<ChildProcess, NodeJS.Signals>();

function killRunning(): void {
  for (const [child, signal] of running) child.kill(signal);
}

/** Ends a child with this process at the latest: a test that times out may never stop it. */
export function killAtExit(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): void {
  running.set(child, signal);
  child.once('exit', () => running.delete(child));
}

// Vitest ends this process, possibly by a signal.
process.once('exit', killRunning);
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.once(signal, () => {
    killRunning();
    process.kill(process.pid, signal);
  });
}

export function startTool(
  tool: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): RunningTool {
  const child: ChildProcess = spawn(tool, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  killAtExit(child);
  let output = '';
  const collect = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout?.on('data', collect);
  child.stderr?.on('data', collect);
  let isRunning = true;
  const ended = once(child, 'exit').finally(() => {
    isRunning = false;
  });
  ended.catch((error: Error) => collect(Buffer.from(error.message)));
  return {
    pid: Number(child.pid),
    output: () => output,
    isRunning: () => isRunning,
    async stop() {
      child.kill('SIGTERM');
      const hurry = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await ended.catch(() => undefined);
      clearTimeout(hurry);
    },
  };
}

/** Ports are chosen in a range of this worker's own, so that test files that run side by side never choose the same. */
const FIRST_PORT = 20_000;
const RANGE = 750;
const RANGES = 16;
const workerIndex = Number(process.env['VITEST_POOL_ID'] ?? 0) % RANGES;
const handedOut = new Set<number>();

/**
 * A free port, for programs that cannot choose one themselves. It is below the ephemeral ports, so that no outgoing
 * connection takes it before the program does.
 */
export async function freePort(): Promise<number> {
  const first = FIRST_PORT + workerIndex * RANGE;
  for (;;) {
    const port = randomInt(first, first + RANGE);
    if (handedOut.has(port)) continue;
    const server = createServer();
    const outcome = await new Promise<'free' | 'taken'>((resolve) => {
      server.on('error', () => resolve('taken'));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve('free')));
    });
    if (outcome === 'taken') continue;
    handedOut.add(port);
    return port;
  }
}
