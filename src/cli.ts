#!/usr/bin/env node
/** The process: runs a command line with its environment, streams and signals, and exits with its code. */
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT, type Io, PROGRAM, UsageError } from './commands/command.ts';
import { runCommandLine } from './commands/command-line.ts';
import { escapeUnprintable } from './telemetry/printable.ts';

/** Far more than a token or request that Envoy would pass on. */
const MAX_STDIN_BYTES = 2 ** 20;
/** In service mode, what may be buffered while stderr is not read; further lines are dropped. */
const MAX_STDERR_BYTES = 64 * 1024;
/** In service mode, how long the exit waits for buffered output to be read. */
const MAX_FLUSH_MS = 1000;

let isServiceMode = false;

let onReloadSignal: (() => void) | undefined;
let requestStop: () => void;
const stopRequested = new Promise<void>((resolve) => {
  requestStop = resolve;
});

const io: Io = {
  env: process.env,
  out: (line) => void process.stdout.write(`${line}\n`),
  isTerminal: process.stdout.isTTY === true,
  hasColors: process.stdout.isTTY === true && process.stdout.hasColors(),
  err: writeError,
  readStdin,
  nowSeconds: () => Date.now() / 1000,
  stopRequested() {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, onStopSignal);
    return stopRequested;
  },
  requestStop: () => requestStop(),
  enterServiceMode,
  onReloadSignal(reload) {
    if (onReloadSignal === undefined) process.on('SIGHUP', () => onReloadSignal?.());
    onReloadSignal = reload;
  },
};

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_STDIN_BYTES) throw new UsageError(`stdin: more than ${MAX_STDIN_BYTES} bytes`);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

let stopSignals = 0;

/** The second signal skips the drain. */
function onStopSignal(): void {
  stopSignals++;
  if (stopSignals > 1) process.exit(EXIT.failure);
  requestStop();
}

const writeToStderr = process.stderr.write.bind(process.stderr);

/** Only our own lines reach stderr from here on: what NODE_DEBUG and libraries write may quote requests. */
function enterServiceMode(): void {
  isServiceMode = true;
  process.stderr.write = () => true;
  if (process.listenerCount('warning') === 0) return;
  process.removeAllListeners('warning');
  process.on('warning', ({ name, message }) => io.err(`${PROGRAM}: ${name}: ${message}`));
}

function writeError(line: string): void {
  if (isServiceMode && process.stderr.writableLength > MAX_STDERR_BYTES) return;
  try {
    writeToStderr(`${escapeUnprintable(line)}\n`);
  } catch (error) {
    // Writes to a file are synchronous, and Node 20 throws if the disk is full.
    if (!isServiceMode) throw error;
  }
}

/** Reports a bug on stderr, and returns the exit code for it. */
function fail(error: unknown): number {
  for (const line of describeBug(error).split('\n')) io.err(line);
  return EXIT.failure;
}

/** In service mode the error message is left out, because it may quote a request. */
function describeBug(error: unknown): string {
  if (!(error instanceof Error)) return isServiceMode ? 'unexpected error' : String(error);
  const { name, message, stack = message } = error;
  if (!isServiceMode) return stack;
  const { code = '' } = error as NodeJS.ErrnoException;
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line) && !message.includes(line));
  return [`${name} ${code}`.trimEnd(), ...frames].join('\n');
}

/** Resolves when stdout and stderr have been read or closed by the reader; in service mode also after a time limit. */
function flushed(): Promise<unknown> {
  const writes = [process.stdout.write.bind(process.stdout), writeToStderr];
  const all = Promise.all(writes.map((write) => new Promise((resolve) => write('', resolve))));
  return isServiceMode ? Promise.race([all, sleep(MAX_FLUSH_MS)]) : all;
}

// EPIPE is not an error: `head` closes the pipe when it has read enough. Opening both streams here also makes Node set
// pipes to non-blocking, so that a stalled reader does not block checks.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && !isServiceMode) throw error;
  });
}
// Without a listener SIGUSR1 opens Node's debugger, through which keys can be read.
process.on('SIGUSR1', () => undefined);
process.on('uncaughtException', (error) => process.exit(fail(error)));

const code = await runCommandLine(process.argv.slice(2), io).catch(fail);
await flushed();
process.exit(code);
