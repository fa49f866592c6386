#!/usr/bin/env node
/** Owns the process: its arguments, environment, signals and exit code. */
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, EXIT, GLOBAL_OPTIONS, type Io, Options, UsageError } from './commands/command.ts';
import { ConfigError } from './config/config.ts';
import { ListenError } from './server/listen-error.ts';
import { escapeUnprintable } from './telemetry/printable.ts';
import { VERSION } from './version.ts';

const NAME = 'approov-ext-authz';

interface Entry {
  readonly summary: string;
  /** Only the command that is called is loaded: a probe runs `healthcheck` every few seconds. */
  load(): Promise<Command>;
}

const COMMANDS: Readonly<Record<string, Entry>> = {
  serve: {
    summary: 'run the service (the default)',
    load: async () => (await import('./commands/serve.ts')).serve,
  },
  'check-config': {
    summary: 'read configuration and keys as serve would; print the effective one, or every error',
    load: async () => (await import('./commands/check-config.ts')).checkConfig,
  },
  explain: {
    summary: 'show how serve would decide about a request, step by step',
    load: async () => (await import('./commands/explain.ts')).explain,
  },
  mint: {
    summary: 'sign an example token with a configured symmetric key; the token alone on stdout',
    load: async () => (await import('./commands/mint.ts')).mint,
  },
  healthcheck: {
    summary: 'ask the running service whether it serves',
    load: async () => (await import('./commands/healthcheck.ts')).healthcheck,
  },
};

/** What may wait for a reader of stderr while the service runs; lines beyond it are dropped. */
const MAX_STDERR_BYTES = 64 * 1024;
const MAX_FLUSH_MS = 1000;
let isServing = false;

// A reader that has read enough, as `head` does, is no fault. This also has Node make a pipe non-blocking: a reader that
// stalls must not stop checks.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && !isServing) throw error;
  });
}
// Without a listener Node opens a debugger, through which keys can be read.
process.on('SIGUSR1', () => undefined);

const writeToStderr = process.stderr.write.bind(process.stderr);

/** From now on only our own lines reach stderr: NODE_DEBUG and libraries write there what clients send. */
function takeStreams(): void {
  isServing = true;
  process.stderr.write = () => true;
  if (process.listenerCount('warning') === 0) return;
  process.removeAllListeners('warning');
  process.on('warning', ({ name, message }) => io.err(`${NAME}: ${name}: ${message}`));
}

function writeError(line: string): void {
  if (isServing && process.stderr.writableLength > MAX_STDERR_BYTES) return;
  try {
    writeToStderr(`${escapeUnprintable(line)}\n`);
  } catch (error) {
    // A file is written at once, and Node 20 throws where the disk is full.
    if (!isServing) throw error;
  }
}

let signals = 0;
let mistakeCode: number = EXIT.usage;
let resolveStop: () => void;
const stopRequest = new Promise<void>((resolve) => {
  resolveStop = resolve;
});

const io: Io = {
  env: process.env,
  out: (line) => void process.stdout.write(`${line}\n`),
  err: writeError,
  readStdin: () => text(process.stdin),
  nowSeconds: () => Date.now() / 1000,
  stopSignal: () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        // Whoever asks twice does not want to wait for the drain.
        signals++;
        if (signals > 1) process.exit(EXIT.failure);
        io.stop();
      });
    }
    return stopRequest;
  },
  stop: () => resolveStop(),
  takeStreams,
  onReloadSignal: (reload) => void process.on('SIGHUP', reload),
};

async function main(args: readonly string[]): Promise<number> {
  const [first = 'serve', ...rest] = args;
  const [name, options] = first.startsWith('-') ? ['serve', args] : [first, rest];
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  // Not repeated, as it may be a token.
  if (entry === undefined) {
    throw new UsageError(`no such command; there are: ${Object.keys(COMMANDS).join(', ')}`);
  }
  const command = await entry.load();
  mistakeCode = command.mistakeCode ?? EXIT.usage;
  const parsed = new Options(options, { ...GLOBAL_OPTIONS, ...command.options });
  if (parsed.flag('help')) return print(first === name ? commandHelp(name, entry, command) : overview());
  if (parsed.flag('version')) return print(VERSION);
  return command.run(parsed, io);
}

function print(line: string): number {
  io.out(line);
  return EXIT.ok;
}

function overview(): string {
  return [
    `${NAME} ${VERSION}: decides about Approov tokens for Envoy's external authorization`,
    '',
    `usage: ${NAME} [command] [options]`,
    '',
    ...Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(13)} ${summary}`),
    '',
    '  --config FILE   the configuration (or APPROOV_CONFIG); without one, environment variables alone',
    '  --help          this text, or with a command that command’s options',
    '  --version       the version',
  ].join('\n');
}

function commandHelp(name: string, { summary }: Entry, { help }: Command): string {
  return [
    `usage: ${NAME} ${name} [--config FILE] [options]`,
    '',
    summary,
    ...help.map((line) => `  ${line}`),
  ].join('\n');
}

function fail(error: unknown): number {
  if (error instanceof ConfigError) {
    for (const { path, message } of error.problems) io.err(`${NAME}: ${path}: ${message}`);
    return mistakeCode;
  }
  if (error instanceof UsageError) {
    io.err(`${NAME}: ${error.message} (see ${NAME} --help)`);
    return mistakeCode;
  }
  if (error instanceof ListenError) {
    io.err(`${NAME}: ${error.message}`);
    return EXIT.failure;
  }
  for (const line of describeFault(error).split('\n')) io.err(line);
  return EXIT.failure;
}

/** A bug. While the service runs its message is left out, as it may quote a request. */
function describeFault(error: unknown): string {
  if (!(error instanceof Error)) return isServing ? 'fault' : String(error);
  const { name, message, stack = message } = error;
  if (!isServing) return stack;
  const { code = '' } = error as NodeJS.ErrnoException;
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line) && !message.includes(line));
  return [`${name} ${code}`.trimEnd(), ...frames].join('\n');
}

/** Resolves once all that was written has been read, or its reader is gone; a service does not wait long for it. */
function flushed(): Promise<unknown> {
  const writes = [process.stdout.write.bind(process.stdout), writeToStderr];
  const all = Promise.all(writes.map((write) => new Promise((resolve) => write('', resolve))));
  return isServing ? Promise.race([all, sleep(MAX_FLUSH_MS)]) : all;
}

process.on('uncaughtException', (error) => process.exit(fail(error)));
const code = await main(process.argv.slice(2)).catch(fail);
await flushed();
process.exit(code);
