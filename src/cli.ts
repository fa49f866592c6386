#!/usr/bin/env node
/** The process: runs one command with its arguments, environment, streams and signals, and exits with its code. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type CommandEntry, EXIT, type Io, Options, PROGRAM, UsageError } from './commands/command.ts';
import { COMMANDS, commandHelp, DEFAULT_COMMAND, programHelp } from './commands/commands.ts';
import { ConfigError, formatProblem } from './config/config.ts';
import { nearest } from './config/nearest.ts';
import { ListenError } from './server/listen-error.ts';
import { escapeUnprintable } from './telemetry/printable.ts';
import { VERSION } from './version.ts';

/** Far more than a token or request that Envoy would pass on. */
const MAX_STDIN_BYTES = 2 ** 20;
/** In service mode, what may be buffered while stderr is not read; further lines are dropped. */
const MAX_STDERR_BYTES = 64 * 1024;
/** In service mode, how long the exit waits for buffered output to be read. */
const MAX_FLUSH_MS = 1000;

let isServiceMode = false;
let usageErrorCode: number = EXIT.usage;
let helpCommand = `${PROGRAM} --help`;

/** Alone, they are answered without loading a command. */
const PROGRAM_OPTIONS: ReadonlyMap<string, () => string> = new Map([
  ['-h', programHelp],
  ['--help', programHelp],
  ['-v', () => VERSION],
  ['--version', () => VERSION],
]);

async function main(args: readonly string[]): Promise<number> {
  const [first = DEFAULT_COMMAND, ...rest] = args;
  const text = rest.length === 0 ? PROGRAM_OPTIONS.get(first) : undefined;
  if (text !== undefined) return print(text());
  if (first === 'help') return printHelp(rest);
  const [name, options] = first.startsWith('-') ? [DEFAULT_COMMAND, args] : [first, rest];
  const entry = commandNamed(name);
  // Before the command is loaded, which takes seconds on a busy machine: without a listener, SIGHUP ends the process.
  if (name === DEFAULT_COMMAND) process.on('SIGHUP', () => onReloadSignal());
  const command = await entry.load();
  usageErrorCode = command.usageErrorCode ?? EXIT.usage;
  if (first === name) helpCommand = `${PROGRAM} ${name} --help`;
  const parsed = new Options(options, command.options, command);
  if (parsed.flag('help')) return print(first === name ? commandHelp(name, entry, command) : programHelp());
  if (parsed.flag('version')) return print(VERSION);
  return command.run(parsed, io);
}

async function printHelp([name]: readonly string[]): Promise<number> {
  if (name === undefined || name.startsWith('-') || name === 'help') return print(programHelp());
  const entry = commandNamed(name);
  return print(commandHelp(name, entry, await entry.load()));
}

/** @throws {UsageError} that quotes the name only if it looks like a command's: any other may be a token. */
function commandNamed(name: string): CommandEntry {
  const entry = COMMANDS.get(name);
  if (entry !== undefined) return entry;
  const known = [...COMMANDS.keys()];
  const suggestion = nearest(name, [...known, 'help']);
  const hint = suggestion === undefined ? `known: ${known.join(', ')}` : `did you mean ${suggestion}?`;
  const isWord = suggestion !== undefined || /^[a-z-]{1,20}$/.test(name);
  throw new UsageError(`no such command${isWord ? `: ${name}` : ''}; ${hint}`);
}

function print(line: string): number {
  io.out(line);
  return EXIT.ok;
}

/** A signal before there is anything to reload is ignored: the files are read later anyway. */
let onReloadSignal = (): void => undefined;
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

/** Reports an error on stderr, and returns the exit code for it. */
function fail(error: unknown): number {
  if (error instanceof ConfigError) {
    for (const problem of error.problems) io.err(`${PROGRAM}: ${formatProblem(problem)}`);
    return usageErrorCode;
  }
  if (error instanceof UsageError) {
    io.err(`${PROGRAM}: ${error.message} (see ${helpCommand})`);
    return usageErrorCode;
  }
  if (error instanceof ListenError) {
    io.err(`${PROGRAM}: ${error.message}`);
    return EXIT.failure;
  }
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

const code = await main(process.argv.slice(2)).catch(fail);
await flushed();
process.exit(code);
