/** Defines a command: it reads its options, uses the process only through `Io`, and returns an exit code. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { type Env, readVariable, valueProblem } from '../config/env.ts';
import { nearest } from '../config/nearest.ts';
import { INVALID_CONFIGURATION } from '../server/exit-code.ts';

export const PROGRAM = 'approov-ext-authz';

/** The process, as a command sees it. */
export interface Io {
  readonly env: Env;
  /** Writes a line to stdout. */
  readonly out: (text: string) => void;
  /** Whether a person reads stdout. */
  readonly isTerminal: boolean;
  /** Whether stdout is a terminal that shows colours; `NO_COLOR` turns them off. */
  readonly hasColors: boolean;
  /** Writes a line to stderr, with unprintable characters escaped. */
  readonly err: (text: string) => void;
  /** @throws {UsageError} there is more than a token could be. */
  readonly readStdin: () => Promise<string>;
  readonly nowSeconds: () => number;
  /** Handles SIGTERM and SIGINT from now on. Resolves on the first one or on {@link requestStop}; a second exits. */
  readonly stopRequested: () => Promise<void>;
  readonly requestStop: () => void;
  /** From now on only {@link err} writes to stderr, and no error of stdout or stderr ends the process. */
  readonly enterServiceMode: () => void;
  /** Handles SIGHUP from now on, the last handler given alone. Without one, it ends the process. */
  readonly onReloadSignal: (reload: () => void) => void;
}

type OptionsConfig = NonNullable<ParseArgsConfig['options']>;

interface CommandArgument {
  readonly name: string;
  /** Empty: any. */
  readonly values: readonly string[];
  /** The option that it is the second value of, without which it is not accepted. */
  readonly ofOption?: string;
}

export interface Command {
  /** Lines of `--help` about this command's options. */
  readonly help: readonly string[];
  readonly options: OptionsConfig;
  /** The argument that is not an option. Default: none is accepted. */
  readonly argument?: CommandArgument;
  /** What to do instead of giving an argument that is not an option. */
  readonly argumentAdvice?: string;
  /** Exit code for bad usage or configuration. Default: `EXIT.usage`. */
  readonly usageErrorCode?: number;
  /**
   * @returns the exit code.
   * @throws {UsageError | ConfigError} bad usage or configuration, which the caller reports.
   */
  run(options: Options, io: Io): Promise<number>;
}

export interface CommandEntry {
  readonly summary: string;
  /** Only the command that runs is loaded, because probes run `healthcheck` every few seconds. */
  load(): Promise<Command>;
}

export type CommandTable = ReadonlyMap<string, CommandEntry>;

export const EXIT = {
  ok: 0,
  failure: 1,
  usage: INVALID_CONFIGURATION,
  refused: 3,
  notYet: 4,
  cannotTell: 5,
} as const;

/** Bad usage of the command line. The message is one line and quotes no value that may be a secret. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The options that every command accepts. */
export const GLOBAL_OPTIONS = {
  config: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const satisfies OptionsConfig;

type ArgumentRules = Pick<Command, 'argument' | 'argumentAdvice'>;

/** The parsed options of a command. Each accessor reads options declared with its type. */
export class Options {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #argument: string | undefined;

  /** @throws {UsageError} an unknown option, a missing value, a value for a flag, or an argument too many. */
  constructor(args: readonly string[], declared: OptionsConfig, command: ArgumentRules = {}) {
    const options = { ...GLOBAL_OPTIONS, ...declared };
    try {
      const { values, positionals } = parseArgs({
        args: [...args],
        options,
        strict: true,
        allowPositionals: command.argument !== undefined,
      });
      this.#values = values;
      this.#argument = positionals[0];
      const { name, ofOption } = command.argument ?? {};
      if (positionals.length > 0 && ofOption !== undefined && !Object.hasOwn(values, ofOption))
        throw new UsageError(unexpectedArgument(command));
      if (positionals.length > 1) throw new UsageError(`give one ${name}`);
    } catch (error) {
      if (error instanceof UsageError) throw error;
      throw new UsageError(describeParseError(error as NodeJS.ErrnoException, Object.keys(options), command));
    }
  }

  argument(): string | undefined {
    return this.#argument;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#values, name);
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  texts(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }
}

/** Not quoted: it may be a token without its `--token`. */
function unexpectedArgument({ argumentAdvice = 'only options are accepted' }: ArgumentRules): string {
  return `unexpected argument; ${argumentAdvice}`;
}

function describeParseError(
  { code, message }: NodeJS.ErrnoException,
  options: readonly string[],
  command: ArgumentRules,
): string {
  if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') return unexpectedArgument(command);
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION')
    return unknownOption(/'(--?[^']*)'/.exec(message)?.[1] ?? '', options);
  const option = /'(?:-\w, )?(--[\w-]+)/.exec(message)?.[1] ?? 'an option';
  if (message.includes('ambiguous'))
    return `${option}: needs a value; write ${option}=VALUE if it begins with -`;
  return message.includes('does not take') ? `${option}: takes no value` : `${option}: needs a value`;
}

/** Quotes the option only if it looks like one: a token may begin with `-` too. */
function unknownOption(option: string, known: readonly string[]): string {
  const suggestion = option.startsWith('--') ? nearest(option.slice(2), known) : undefined;
  if (suggestion !== undefined) return `no such option: ${option}; did you mean --${suggestion}?`;
  return /^--?[a-z-]{1,20}$/.test(option) ? `no such option: ${option}` : 'no such option';
}

/**
 * The configuration file named by `--config` or else by `APPROOV_CONFIG`, if any.
 * @throws {UsageError} the variable has quotes or control characters around the name.
 */
export function configFile(options: Options, io: Io): string | undefined {
  const named = options.text('config');
  const variable = readVariable(io.env, 'APPROOV_CONFIG');
  if (named !== undefined || variable === undefined) return named;
  const problem = valueProblem(variable);
  if (problem !== undefined) throw new UsageError(`APPROOV_CONFIG: ${problem}`);
  return variable;
}
