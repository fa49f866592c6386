/** Runs a command line: finds the command, parses its options, and reports bad usage or configuration in one line each. */
import { ConfigError, formatProblem } from '../config/config.ts';
import { nearest } from '../config/nearest.ts';
import { ListenError } from '../server/listen-error.ts';
import { VERSION } from '../version.ts';
import { type CommandEntry, EXIT, type Io, Options, PROGRAM, UsageError } from './command.ts';
import { COMMANDS, commandHelp, DEFAULT_COMMAND, programHelp } from './commands.ts';

/** Alone, they are answered without loading a command. */
const PROGRAM_OPTIONS: ReadonlyMap<string, () => string> = new Map([
  ['-h', programHelp],
  ['--help', programHelp],
  ['-v', () => VERSION],
  ['--version', () => VERSION],
]);

/**
 * @param args the arguments after the program's name.
 * @returns the exit code. Rejects only because of a bug.
 */
export async function runCommandLine(args: readonly string[], io: Io): Promise<number> {
  const [first = DEFAULT_COMMAND, ...rest] = args;
  try {
    const text = rest.length === 0 ? PROGRAM_OPTIONS.get(first) : undefined;
    if (text !== undefined) return print(text(), io);
    if (first === 'help') return await printHelp(rest, io);
    const [name, options] = first.startsWith('-') ? [DEFAULT_COMMAND, args] : [first, rest];
    return await runCommand(name, options, first === name, io);
  } catch (error) {
    return report(error, EXIT.usage, PROGRAM, io);
  }
}

async function runCommand(name: string, args: readonly string[], isNamed: boolean, io: Io): Promise<number> {
  const entry = commandNamed(name);
  // Before the command is loaded, which takes seconds on a busy machine: without a listener, SIGHUP ends the process.
  if (name === DEFAULT_COMMAND) io.onReloadSignal(() => undefined);
  const command = await entry.load();
  try {
    const options = new Options(args, command.options, command);
    if (options.flag('help')) return print(isNamed ? commandHelp(name, entry, command) : programHelp(), io);
    if (options.flag('version')) return print(VERSION, io);
    return await command.run(options, io);
  } catch (error) {
    return report(error, command.usageErrorCode ?? EXIT.usage, isNamed ? `${PROGRAM} ${name}` : PROGRAM, io);
  }
}

async function printHelp([name]: readonly string[], io: Io): Promise<number> {
  if (name === undefined || name.startsWith('-') || name === 'help') return print(programHelp(), io);
  const entry = commandNamed(name);
  return print(commandHelp(name, entry, await entry.load()), io);
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

function print(text: string, io: Io): number {
  io.out(text);
  return EXIT.ok;
}

/**
 * @param helpOf the program or command whose help describes correct usage.
 * @returns the exit code.
 * @throws any other error, which is a bug.
 */
function report(error: unknown, usageErrorCode: number, helpOf: string, io: Io): number {
  if (error instanceof ConfigError) {
    for (const problem of error.problems) io.err(`${PROGRAM}: ${formatProblem(problem)}`);
    return usageErrorCode;
  }
  if (error instanceof UsageError) {
    io.err(`${PROGRAM}: ${error.message} (see ${helpOf} --help)`);
    return usageErrorCode;
  }
  if (error instanceof ListenError) {
    io.err(`${PROGRAM}: ${error.message}`);
    return EXIT.failure;
  }
  throw error;
}
