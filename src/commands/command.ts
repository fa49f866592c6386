/** Defines a command: it reads its options, uses the process only through `Io`, and returns an exit code. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { type Env, readVariable, valueProblem } from '../config/env.ts';
import { INVALID_CONFIGURATION } from '../server/exit-code.ts';

/** The process, as a command sees it. */
export interface Io {
  readonly env: Env;
  /** Writes a line to stdout. */
  readonly out: (text: string) => void;
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
  /** Handles SIGHUP from now on. Before, it is ignored while `serve` starts, and ends other commands. */
  readonly onReloadSignal: (reload: () => void) => void;
}

type OptionsConfig = NonNullable<ParseArgsConfig['options']>;

export interface Command {
  /** Lines of `--help` about this command's options. */
  readonly help: readonly string[];
  readonly options: OptionsConfig;
  /** Exit code for bad usage or configuration. Default: `EXIT.usage`. */
  readonly usageErrorCode?: number;
  /**
   * @returns the exit code.
   * @throws {UsageError | ConfigError} bad usage or configuration, which the caller reports.
   */
  run(options: Options, io: Io): Promise<number>;
}

export const EXIT = { ok: 0, failure: 1, usage: INVALID_CONFIGURATION, refused: 3 } as const;

/** Bad usage of the command line. The message is one line and quotes no value that may be a secret. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The options that every command accepts. */
const GLOBAL_OPTIONS = {
  config: { type: 'string' },
  help: { type: 'boolean' },
  version: { type: 'boolean' },
} as const satisfies OptionsConfig;

/** The parsed options of a command. Each accessor reads options declared with its type. */
export class Options {
  readonly #values: Readonly<Record<string, unknown>>;

  /** @throws {UsageError} an unknown option, a missing value, or a value for a flag. */
  constructor(args: readonly string[], options: OptionsConfig) {
    try {
      this.#values = parseArgs({
        args: [...args],
        options: { ...GLOBAL_OPTIONS, ...options },
        strict: true,
        allowPositionals: false,
      }).values;
    } catch (error) {
      throw new UsageError(describeParseError(error as NodeJS.ErrnoException));
    }
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

function describeParseError({ code, message }: NodeJS.ErrnoException): string {
  // Not quoted: it may be a token without its `--token`.
  if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL')
    return 'unexpected argument; only options are accepted';
  // Node's first sentence only: the rest is advice about positional arguments, which no command takes.
  return message.split(/\. |\n/, 1)[0] ?? '';
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
