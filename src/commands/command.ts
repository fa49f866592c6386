/** Owns what a command is: options in, exit code out, and a mistake of the user's as one readable line. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { type Env, readVariable, valueProblem } from '../config/env.ts';
import { INVALID_CONFIGURATION } from '../server/exit-code.ts';

/** The outside as a command sees it. */
export interface Io {
  readonly env: Env;
  /** Writes text and a line end to standard output. */
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly readStdin: () => Promise<string>;
  readonly nowSeconds: () => number;
  /** Resolves once the process is asked to end, by a signal or by {@link stop}. */
  readonly stopSignal: () => Promise<void>;
  readonly stop: () => void;
  /** From now on only {@link err} writes to standard error, and no error of a stream ends the process. */
  readonly takeStreams: () => void;
  readonly onReloadSignal: (reload: () => void) => void;
}

type OptionsConfig = NonNullable<ParseArgsConfig['options']>;

export interface Command {
  /** The lines of `--help` that are this command's own. */
  readonly help: readonly string[];
  readonly options: OptionsConfig;
  /** The exit code after a mistake in usage or configuration, where it is not 2. */
  readonly mistakeCode?: number;
  /** @returns the exit code. */
  run(options: Options, io: Io): Promise<number>;
}

export const EXIT = { ok: 0, failure: 1, usage: INVALID_CONFIGURATION, refused: 3 } as const;

/** A command line that cannot be followed. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const GLOBAL_OPTIONS = {
  config: { type: 'string' },
  help: { type: 'boolean' },
  version: { type: 'boolean' },
} as const satisfies OptionsConfig;

/** The options of one call. Each accessor is for options declared with its type. */
export class Options {
  readonly #values: Readonly<Record<string, unknown>>;

  /** @throws {UsageError} an option that is not there, lacks its value, or has one too many. */
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
  // Not repeated: it may be a token whose `--token` was forgotten.
  if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') return 'an argument that is no option';
  // Only the first sentence: the rest is advice on positional arguments, of which there are none.
  return message.split(/\. |\n/, 1)[0] ?? '';
}

/**
 * The configuration file that `--config` or `APPROOV_CONFIG` names.
 * @throws {UsageError} the variable's value is not the name alone.
 */
export function configFile(options: Options, io: Io): string | undefined {
  const named = options.text('config');
  const variable = readVariable(io.env, 'APPROOV_CONFIG');
  if (named !== undefined || variable === undefined) return named;
  const problem = valueProblem(variable);
  if (problem !== undefined) throw new UsageError(`APPROOV_CONFIG: ${problem}`);
  return variable;
}
